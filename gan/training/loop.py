"""The training loop: log → snapshot → checkpoint → step, and the same bits however often killed.

To resume, run the same command again. Everything random comes from (seed, purpose, step or
epoch), see gan/seeds.py, so the state holds weights, optimisers and the log, and nothing else.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from gan import images as pixels
from gan import seeds
from gan.errors import UserError
from gan.networks import build, files
from gan.params import Network, Train
from gan.training.state import load_optimiser, load_state, optimiser_tensors, save_state
from gan.training.step import Trainer, recompute_statistics

COLUMNS = ("step", "loss_d", "loss_g", "d_real", "d_fake", "learning_rate")
FIXED = 64  # fixed latents, shown at every snapshot
STATISTICS_BATCHES = 16


@dataclass(frozen=True)
class Result:
    """What training gives: the log (rows of ``COLUMNS``) and how fast this process was."""

    log: list[list[float]]
    images_per_second: float


class Loop:
    """One training: ``images`` uint8 (N, C, H, W) on any device, params, a folder for its state."""

    def __init__(
        self, network: Network, train: Train, images: torch.Tensor, folder: Path, device: str
    ) -> None:
        if len(images) < train.batch_size:
            raise UserError(
                f"params.yaml: train.batch_size: {train.batch_size}: larger than the training half "
                f"({len(images)} images); lower it to at most {len(images)}"
            )
        self.network, self.train, self.device, self.folder = network, train, device, folder
        self.images = _resident(images, device)
        self.channels, self.image_size = images.shape[1], images.shape[2]
        self.steps_per_epoch = len(images) // train.batch_size
        self.total = train.epochs * self.steps_per_epoch
        if train.max_steps is not None:
            self.total = min(self.total, train.max_steps)
        count = min(train.snapshots, self.total)  # evenly spread, the last step among them
        self.snapshot_steps = {self.total * (i + 1) // count for i in range(count)}
        self.trainer = self._trainer()
        self.sums = torch.zeros(4, device=device)
        self.log: list[list[float]] = []
        self.step = 0
        self.order = torch.empty(0)

    def _trainer(self) -> Trainer:
        generator = build.build_generator(self.network, self.image_size, self.channels)
        discriminator = build.build_discriminator(self.network, self.image_size, self.channels)
        build.initialise(generator, self.train.seed, "generator")
        build.initialise(discriminator, self.train.seed, "discriminator")
        models = [generator, discriminator, copy.deepcopy(generator).requires_grad_(False)]
        # channels-last: the layout that convolutions compute in, on CPUs and tensor cores alike
        placed = [model.to(self.device, memory_format=torch.channels_last) for model in models]  # type: ignore[call-overload]
        betas = (self.train.beta1, self.train.beta2)
        shift = self.train.augment_shift
        return Trainer(*placed, betas=betas, ema_decay=self.train.ema_decay, augment_shift=shift)

    def run(self, progress: Callable[[int, str], None]) -> Result:
        """Train to the end, from the newest sound state in the folder where there is one."""
        self._resume()
        first, started = self.step, time.monotonic()
        saved = started
        while self.step < self.total:
            self.sums += self._step()
            self.step += 1
            if self.step % self.train.log_every == 0 or self.step == self.total:
                progress(self.step, self._write_log())
            if self.step in self.snapshot_steps:
                self._snapshot()
            if self.step == self.total or time.monotonic() - saved >= self.train.checkpoint_seconds:
                save_state(self.folder, self.step, self._state())
                saved = time.monotonic()
        seconds = time.monotonic() - started
        return Result(self.log, (self.step - first) * self.train.batch_size / max(seconds, 1e-9))

    def learning_rate(self) -> float:
        """Adam's learning rate at the current step: exponential decay, without steps."""
        factor: float = self.train.lr_decay_factor ** (self.step / self.train.lr_decay_steps)
        return self.train.learning_rate * factor

    def _step(self) -> torch.Tensor:
        epoch, within = divmod(self.step, self.steps_per_epoch)
        if within == 0 or len(self.order) == 0:
            rng = seeds.generator(self.train.seed, "order", epoch)
            self.order = torch.randperm(len(self.images), generator=rng).to(self.images.device)
        size = self.train.batch_size
        batch = self.images[self.order[within * size : (within + 1) * size]].to(self.device)
        real = pixels.to_float(batch).contiguous(memory_format=torch.channels_last)
        torch.manual_seed(seeds.derive(self.train.seed, "dropout", self.step))
        latents = self._latents("latents", self.step, size)
        rng = seeds.generator(self.train.seed, "augment", self.step, self.device)
        return self.trainer.step(real, latents, self.step, self.learning_rate(), rng)

    def _latents(self, purpose: str, index: int, count: int) -> torch.Tensor:
        rng = seeds.generator(self.train.seed, purpose, index, self.device)
        return build.draw_latents(self.network, count, rng)

    def _write_log(self) -> str:
        """Append the means since the last row; the only place that waits for the device."""
        last = int(self.log[-1][0]) if self.log else 0
        means = (self.sums / (self.step - last)).tolist()
        if not all(abs(value) < float("inf") for value in means):
            raise UserError(
                f"train: the loss is not finite between step {last} and {self.step} (loss_d {means[0]}, "
                f"loss_g {means[1]}); lower train.learning_rate and run again"
            )
        self.log.append([self.step, *means, self.learning_rate()])
        self.sums.zero_()
        names = zip(COLUMNS[1:5], means, strict=True)
        return "  ".join(f"{name} {value:.3f}" for name, value in names)

    def _snapshot(self) -> None:
        """Write the averaged generator, statistics recomputed, and its fixed-latents grid."""
        model = copy.deepcopy(self.trainer.average if self.train.ema_decay else self.trainer.generator)
        size = self.train.batch_size
        recompute_statistics(model, [self._latents("statistics", i, size) for i in range(STATISTICS_BATCHES)])
        name = f"step-{self.step:09d}"
        files.save(self.folder / "snapshots" / f"{name}.safetensors", model.state_dict(), self.config())
        with torch.no_grad():
            shown = pixels.to_uint8(model(self._latents("fixed_latents", 0, FIXED)))
        pixels.write_png(self.folder / "fixed_latents" / f"{name}.png", pixels.grid(shown, 8))

    def config(self) -> dict[str, object]:
        """What a model file says of itself; nothing in it varies between identical runs."""
        return {
            "network": self.network.model_dump(),
            "train": self.train.model_dump(),
            "image_size": self.image_size,
            "channels": self.channels,
            "step": self.step,
            "images_seen": self.step * self.train.batch_size,
        }

    def models(self) -> dict[str, torch.Tensor]:
        """All weights, named ``generator.…``, ``generator_ema.…``, ``discriminator.…``."""
        parts = {
            "generator": self.trainer.generator,
            "generator_ema": self.trainer.average,
            "discriminator": self.trainer.discriminator,
        }
        return {f"{part}.{name}": t for part, m in parts.items() for name, t in m.state_dict().items()}

    def _state(self) -> dict[str, torch.Tensor]:
        return {
            **self.models(),
            **optimiser_tensors(self.trainer.optimiser_g, "optimiser_g"),
            **optimiser_tensors(self.trainer.optimiser_d, "optimiser_d"),
            "loop.sums": self.sums,
            "loop.log": torch.tensor(self.log, dtype=torch.float64).reshape(-1, len(COLUMNS)),
        }

    def _resume(self) -> None:
        found = load_state(self.folder)
        if found is None:
            return
        self.step, tensors = found
        for part, model in (
            ("generator", self.trainer.generator),
            ("generator_ema", self.trainer.average),
            ("discriminator", self.trainer.discriminator),
        ):
            model.load_state_dict(
                {k[len(part) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{part}.")}
            )
        load_optimiser(self.trainer.optimiser_g, "optimiser_g", tensors)
        load_optimiser(self.trainer.optimiser_d, "optimiser_d", tensors)
        self.sums = tensors["loop.sums"].to(self.device)
        self.log = tensors["loop.log"].tolist()


def _resident(images: torch.Tensor, device: str) -> torch.Tensor:
    """Move the whole uint8 set to the device when it takes less than half of the free memory."""
    if device == "cuda" and images.nbytes < torch.cuda.mem_get_info()[0] // 2:
        return images.to(device)
    return images
