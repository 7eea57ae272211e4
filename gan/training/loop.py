"""The training loop: step → log → snapshot → checkpoint, and the same bits however often killed.

To resume, run the same command again. Everything random comes from (seed, purpose, step or
epoch), see gan/seeds.py, so the state holds weights, optimisers and the log, and nothing else.
"""

import copy
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from gan import images as pixels
from gan import seeds
from gan.errors import UserError
from gan.files import sha256_file
from gan.networks import build, files
from gan.params import Network, Train
from gan.training import start
from gan.training.distributed import World, synchronise
from gan.training.draws import Draws
from gan.training.engine import Engine, wants_compile, wants_graphs
from gan.training.feed import Data, Feed
from gan.training.interrupt import Wish, on_signals
from gan.training.state import load_optimiser, optimiser_tensors, read_state, save_state
from gan.training.step import Trainer, recompute_statistics

COLUMNS = ("step", "images_seen", "loss_d", "loss_g", "d_real", "d_fake", "learning_rate", "augment_p")
FIXED_ROWS = 8  # of the grid of fixed latents, shown at every snapshot
STATISTICS_BATCHES = 16
EXPLODED = 1e6  # a mean loss beyond this has left the range where training comes back
ROLLBACKS = 5
FREE = {"devices", "checkpoint_seconds"}  # params that no result depends on


class Loop:
    """One training: params, data, a folder for its state, where and in what precision to compute.

    ``record``: what else model files say of their making (gan/networks/record.py).
    """

    def __init__(
        self,
        network: Network,
        train: Train,
        data: Data,
        folder: Path,
        device: str,
        *,
        precision: torch.dtype = torch.float32,
        world: World | None = None,
        record: Mapping[str, object] | None = None,
    ) -> None:
        self.network, self.train, self.device, self.folder = network, train, device, folder
        self.world, self.record = world or World(), record or {}
        self.per_step = train.batch_size * train.d_steps  # images
        start.check(network, train, data, self.world)
        self.channels, self.image_size = data.images.shape[1], data.images.shape[2]
        labels = data.labels if start.by_class(network, data) else None
        self.counts: list[int] | None = None
        if labels is not None:
            self.counts = torch.bincount(labels, minlength=data.classes).tolist()
        self.names = list(data.names) if self.counts and data.names else None
        self.total = train.epochs * (len(data.images) // self.per_step)
        if train.max_steps is not None:
            self.total = min(self.total, train.max_steps)
        count = min(train.snapshots, self.total)  # evenly spread, the last step among them
        self.snapshot_steps = {self.total * (i + 1) // count for i in range(count)}
        self.feed = Feed(
            data.images,
            labels,
            (train.d_steps, train.batch_size),
            seed=train.seed,
            device=device,
            world=self.world,
        )
        self.draws = Draws(train.seed, device, self.world.rank, self.world.size)
        self.trainer = self._trainer(precision)
        self.origin = start.origin(train)
        self.step, self.attempt = 0, 0
        self.log: list[list[float]] = []
        self.sums = torch.zeros(4, device=device)
        self.engine = Engine(
            self.trainer,
            graphs=wants_graphs(train, device, self.total, self.world),
            compiled=wants_compile(train, device, self.total),
        )

    def _trainer(self, precision: torch.dtype) -> Trainer:
        classes = len(self.counts or ())
        models = start.fresh_models(self.network, self.train, self.image_size, self.channels, classes)
        generator, discriminator, average = (
            # channels-last: the layout that convolutions compute in, on CPUs and tensor cores alike
            model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for model in models
        )
        synchronise(generator, self.world)
        synchronise(discriminator, self.world)
        return Trainer(
            (generator, discriminator, average),
            self.network,
            self.train,
            classes=classes,
            draws=self.draws,
            world=self.world,
            precision=precision,
        )

    def run(self, progress: Callable[[int, str], None]) -> float:
        """Train to the end, from the newest sound state in the folder where there is one.

        Returns this process's images per second. Raises UserError when training diverges, and
        KeyboardInterrupt, the state written, when a signal asks it to stop.
        """
        self._resume()
        self.resumed_at = first = self.step
        started = time.monotonic()
        saved = started
        with on_signals() as wish:
            while self.step < self.total:
                self.advance()
                logged = self.step % self.train.log_every == 0 or self.step == self.total
                snapshot = self.step in self.snapshot_steps
                means = self._means() if logged or snapshot else []
                if not all(abs(value) < EXPLODED for value in means) or (snapshot and not self._finite()):
                    self._roll_back()
                    continue
                if logged:
                    progress(self.step, self._write_log(means))
                if snapshot:
                    self.snapshot()
                stop = self._asked_to_stop(wish, logged)
                late = time.monotonic() - saved >= self.train.checkpoint_seconds
                if stop or late or self.step == self.total:
                    self._save()
                    saved = time.monotonic()
                if stop:
                    raise KeyboardInterrupt(f"after step {self.step}; run the same command again to go on")
        seconds = time.monotonic() - started
        return (self.step - first) * self.per_step / max(seconds, 1e-9)

    def advance(self) -> None:
        """Do one step."""
        self.draws.begin(f"step, attempt {self.attempt}" if self.attempt else "step", self.step)
        train, rate = self.train, self.learning_rate()
        rate_d = rate * (train.learning_rate_d or train.learning_rate) / train.learning_rate
        noise = train.instance_noise * (1 - self.step / self.total)
        self.trainer.set_schedule(self.step, rate, rate_d, noise)
        penalise = train.penalised and self.step % train.penalty_every == 0
        self.sums += self.engine.step(*self.feed.batch(self.step), penalise)
        self.step += 1

    def learning_rate(self) -> float:
        """G's learning rate at this step: exponential decay, without steps; halved by each rollback."""
        decayed: float = self.train.lr_decay_factor ** (self.step / self.train.lr_decay_steps)
        return self.train.learning_rate * decayed * 0.5**self.attempt

    def _asked_to_stop(self, wish: Wish, logged: bool) -> bool:
        """Agree with the other processes on whether to stop here; on CUDA only where all wait anyway."""
        if self.world.size == 1:
            return wish.stop
        if self.device == "cuda" and not logged:
            return False
        return bool(self.world.sum(torch.tensor(float(wish.stop), device=self.device)).item())

    def _last_row(self) -> int:
        return int(self.log[-1][0]) if self.log else 0

    def _means(self) -> list[float]:
        """Return loss_d, loss_g, d_real, d_fake since the last row; here the device is waited for."""
        means: list[float] = (self.sums / (self.step - self._last_row())).tolist()
        return means

    def _write_log(self, means: list[float]) -> str:
        """Append ``means`` as a row."""
        probability = 1.0 if self.train.augment_target is None else self.trainer.probability.item()
        seen = self.step * self.per_step
        self.log.append([self.step, seen, *means, self.learning_rate(), probability])
        self.sums.zero_()
        names = zip(COLUMNS[2:6], means, strict=True)
        return "  ".join(f"{name} {value:.3f}" for name, value in names)

    def _finite(self) -> bool:
        """Say whether every weight is finite."""
        return all(bool(tensor.isfinite().all()) for tensor in self.models().values())

    def _roll_back(self) -> None:
        """Go back to the last anchor with half the learning rate and other draws, or stop."""
        what = (
            f"train: the loss or a weight is not finite, or beyond {EXPLODED:.0e}, between steps "
            f"{self._last_row()} and {self.step}"
        )
        if self.train.on_divergence == "stop" or self.attempt == ROLLBACKS:
            raise UserError(
                f"{what}; lower train.learning_rate or set train.on_divergence to rollback "
                f"(rolled back {self.attempt} times; the last good state is in {self.folder})"
            )
        attempt = self.attempt + 1
        self._restore(self.world.share(read_state(self.folder, "anchor"), self.device))
        self.attempt = attempt
        self.engine.forget()
        if self.world.writer:
            print(f"{what}: back to step {self.step} with half the learning rate", file=sys.stderr)
        self._save()

    def snapshot(self) -> None:
        """Write the averaged generator, statistics recomputed, and its fixed-latents grid."""
        if not self.world.writer:
            return
        model = copy.deepcopy(self.trainer.average)
        if not self.train.ema_decay:
            model.load_state_dict(self.trainer.generator.state_dict())
        size = self.train.batch_size
        recompute_statistics(model, [self._inputs("statistics", i, size) for i in range(STATISTICS_BATCHES)])
        name = f"step-{self.step:09d}"
        path = self.folder / "snapshots" / f"{name}.safetensors"
        files.save(path, model.state_dict(), self.config())
        columns = len(self.counts) if self.counts and len(self.counts) <= 16 else 8
        with torch.no_grad():
            shown = pixels.to_uint8(model(self._inputs("fixed_latents", 0, FIXED_ROWS * columns, cycle=True)))
        sheet = pixels.grid(shown, columns)
        pixels.write_png(self.folder / "fixed_latents" / f"{name}.png", sheet, sha256_file(path))
        if self.train.on_divergence == "rollback":
            self._save("anchor")

    def _inputs(self, purpose: str, index: int, count: int, *, cycle: bool = False) -> torch.Tensor:
        """A generator's inputs; classes as common as in the data, or, to be shown, one after another."""
        rng = seeds.generator(self.train.seed, purpose, index)
        latents = build.draw_latents(self.network, count, rng)
        if self.counts is None:
            return latents.to(self.device)
        classes = len(self.counts)
        labels = torch.arange(count) % classes if cycle else build.draw_labels(self.counts, count, rng)
        return build.join(latents, build.one_hot(labels, classes)).to(self.device)

    def config(self) -> dict[str, object]:
        """What a model file says of itself; nothing in it varies between identical runs."""
        return {
            **self.record,
            "network": self.network.model_dump(),
            "train": self.train.model_dump(exclude=FREE),
            "image_size": self.image_size,
            "channels": self.channels,
            "class_counts": self.counts,
            "classes": self.names,
            "precision": str(self.trainer.precision).removeprefix("torch."),
            "init_from_sha256": self.origin,
            "step": self.step,
            "images_seen": self.step * self.per_step,
        }

    def models(self) -> dict[str, torch.Tensor]:
        """All weights, named ``generator.…``, ``generator_ema.…``, ``discriminator.…``."""
        return {f"{part}.{name}": t for part, m in self._parts() for name, t in m.state_dict().items()}

    def _parts(self) -> list[tuple[str, nn.Module]]:
        trainer = self.trainer
        return list(
            zip(start.PARTS, (trainer.generator, trainer.discriminator, trainer.average), strict=True)
        )

    def _save(self, kind: str = "state") -> None:
        """Write the state, unless a weight is not finite: then the good ones before it stay."""
        if not self.world.writer or not self._finite():
            return
        tensors = {
            **self.models(),
            **optimiser_tensors(self.trainer.optimiser_g, "optimiser_g"),
            **optimiser_tensors(self.trainer.optimiser_d, "optimiser_d"),
            "loop.counters": torch.tensor([self.step, self.attempt]),
            "loop.probability": self.trainer.probability,
            "loop.sums": self.sums,
            "loop.log": torch.tensor(self.log, dtype=torch.float64).reshape(-1, len(COLUMNS)),
        }
        try:
            save_state(self.folder, self.step, tensors, kind, self.attempt)
        except OSError as error:
            raise UserError(
                f"{error.filename}: {error.strerror}, at step {self.step}; the state before it is kept: make "
                "room and run the same command again"
            ) from None

    def _resume(self) -> None:
        content = self.world.share(read_state(self.folder) if self.world.writer else None, self.device)
        if content is not None:
            self._restore(content)
        elif self.train.on_divergence == "rollback":
            self._save("anchor")

    def _restore(self, content: bytes | None) -> None:
        """Put back what ``_save`` wrote."""
        if content is None:
            raise UserError(f"{self.folder}: the anchor to roll back to is gone; run the same command again")
        tensors = safetensors.torch.load(content)
        for part, model in self._parts():
            own = {k[len(part) + 1 :]: t for k, t in tensors.items() if k.startswith(f"{part}.")}
            model.load_state_dict(own)
        load_optimiser(self.trainer.optimiser_g, "optimiser_g", tensors)
        load_optimiser(self.trainer.optimiser_d, "optimiser_d", tensors)
        self.step, self.attempt = tensors["loop.counters"].tolist()
        self.trainer.probability.copy_(tensors["loop.probability"])
        self.sums.copy_(tensors["loop.sums"])
        self.log = tensors["loop.log"].tolist()
