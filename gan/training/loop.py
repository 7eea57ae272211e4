"""The training loop: step → log → snapshot → checkpoint, and the same bits however often killed.

To resume, run the same command again. Everything random comes from (seed, purpose, step or
epoch), see gan/seeds.py, so the state holds weights, optimisers and the log, and nothing else.
"""

import copy
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import safetensors.torch
import torch

from gan.errors import UserError
from gan.params import FREE, Network, Train
from gan.runtime.live_record import Followers
from gan.runtime.stop_request import Wish, on_signals
from gan.stage import say
from gan.training import faults, initial_weights, snapshots
from gan.training.distributed import World, synchronise
from gan.training.draws import Draws
from gan.training.engine import Engine, wants_compile, wants_graphs
from gan.training.feed import Data, Feed
from gan.training.resume_state import load_trainer, read_state, save_state, trainer_tensors, weights
from gan.training.step import Trainer, recompute_statistics

COLUMNS = ("step", "images_seen", "loss_d", "loss_g", "d_real", "d_fake", "learning_rate", "augment_p")
STATISTICS_BATCHES = 16
ROLLBACKS = 5


class Loop:
    """One training: params, data, a folder for its state, where and in what precision to compute.

    ``record``: what model files record about their origin (gan/networks/model_record.py).
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
        self.per_step = train.per_step  # images
        initial_weights.check(network, train, data, self.world)
        self.channels, self.image_size = data.images.shape[1], data.images.shape[2]
        labels = data.labels if initial_weights.by_class(network, data) else None
        self.counts: list[int] | None = None
        if labels is not None:
            self.counts = torch.bincount(labels, minlength=data.classes).tolist()
        self.names = list(data.names) if self.counts and data.names else None
        self.total = train.epochs * (len(data.images) // self.per_step)
        if train.max_steps is not None:
            self.total = min(self.total, train.max_steps)
        count = min(train.snapshots, self.total)  # evenly spread, the last step among them
        self.snapshot_steps = {self.total * (i + 1) // count for i in range(count)}
        shape = train.d_steps, train.batch_size
        self.feed = Feed(data.images, labels, shape, seed=train.seed, device=device, world=self.world)
        self.draws = Draws(train.seed, device, self.world.rank, self.world.size)
        self.trainer = self.new_trainer(precision)
        self.origin = initial_weights.origin(train)
        self.followers = Followers(COLUMNS)
        self.look = faults.Look(self.feed.images)
        self.anchored = "rollback" in (train.on_divergence, train.on_collapse)
        self.step, self.attempt = 0, 0
        self.log: list[list[float]] = []
        self.looks: list[list[float]] = []  # faults.FIGURES of each snapshot
        self.sums = torch.zeros(4, device=device)
        self.engine = Engine(
            self.trainer,
            graphs=wants_graphs(train, device, self.total, self.world),
            compiled=wants_compile(train, device, self.total),
        )

    def new_trainer(self, precision: torch.dtype) -> Trainer:
        """Return a trainer of fresh weights that computes in ``precision``."""
        classes = len(self.counts or ())
        size = self.image_size, self.channels
        models = initial_weights.fresh_models(self.network, self.train, *size, classes)
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
        self._tell_of_the_beginning()
        self.resumed_at = first = self.step
        if first and self.world.writer:
            say("train", f"goes on from step {first} of {self.total}")
        started = saved = time.monotonic()
        with on_signals() as wish:
            while not self.ended():
                self.advance()
                snapshot = self.step in self.snapshot_steps
                may_end = self.step == self.total or (snapshot and self.train.patience is not None)
                logged = self.step % self.train.log_every == 0 or may_end
                fault = self._divergence(snapshot) if logged or snapshot else None
                if not fault:
                    progress(self.step, self._write_log() if logged else "")
                if snapshot and not fault:
                    fault = self.snapshot()
                if fault:
                    self._roll_back(fault)
                    continue
                stop = self._asked_to_stop(wish, logged)
                late = time.monotonic() - saved >= self.train.checkpoint_seconds
                if stop or late or self.ended():
                    self._save()
                    saved = time.monotonic()
                if stop:
                    raise KeyboardInterrupt(f"after step {self.step}; run the same command again to go on")
        self.followers.end()
        seconds = time.monotonic() - started
        return (self.step - first) * self.per_step / max(seconds, 1e-9)

    def ended(self) -> bool:
        """Say whether this was the last step, or the last that ``train.patience`` grants."""
        distances = [look[0] for look in self.looks]
        return self.step >= self.total or faults.improves_no_more(distances, self.train.patience)

    def _tell_of_the_beginning(self) -> None:
        """Tell the followers where the training begins, or begins again."""
        facts = {"total": self.total, "images_per_step": self.per_step, "folder": str(self.folder)}
        self.followers.begin(facts, self.log)

    def advance(self) -> None:
        """Do one step."""
        self.draws.begin(f"step, attempt {self.attempt}" if self.attempt else "step", self.step)
        self.trainer.set_schedule(self.step, self.step / self.total, self.attempt)
        penalise = self.train.penalised and self.step % self.train.penalty_every == 0
        self.sums += self.engine.step(*self.feed.batch(self.step), penalise)
        self.step += 1

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

    def _write_log(self) -> str:
        """Append a row."""
        means, trainer = self._means(), self.trainer
        rate = trainer.learning_rate(self.step, self.attempt)
        self.log.append([self.step, self.step * self.per_step, *means, rate, trainer.probability.item()])
        self.sums.zero_()
        self.followers.row(self.log[-1])
        return "  ".join(f"{name} {mean:.3f}" for name, mean in zip(COLUMNS[2:6], means, strict=True))

    def _finite(self) -> bool:
        """Say whether every weight is finite."""
        return all(bool(tensor.isfinite().all()) for tensor in self.models().values())

    def _divergence(self, snapshot: bool) -> faults.Fault | None:
        finite = not snapshot or self._finite()
        return faults.divergence(self._means(), finite, self._last_row(), self.step)

    def _roll_back(self, fault: faults.Fault) -> None:
        """Return to the last anchor with half the learning rate and other random numbers, or stop."""
        if getattr(self.train, fault.param) == "stop" or self.attempt == ROLLBACKS:
            instead = "" if self.attempt else f", or set train.{fault.param} to rollback"
            raise UserError(
                f"train: {fault.what}; {fault.remedy}{instead} "
                f"(rolled back {self.attempt} times; the last good state is in {self.folder})"
            )
        attempt = self.attempt + 1
        anchor = read_state(self.folder, "anchor") if self.world.writer else None  # it removes damaged ones
        self._restore(self.world.share(anchor, self.device))
        self.attempt = attempt
        self.engine.forget()
        self._tell_of_the_beginning()
        if self.world.writer:
            say("train", f"{fault.what}: back to step {self.step} with half the learning rate")
        self._save()

    def snapshot(self) -> faults.Fault | None:
        """Write a snapshot and look at it; return a collapse, unless ``train.on_collapse`` only warns."""
        look = self._write_snapshot() if self.world.writer else [0.0] * len(faults.FIGURES)
        fault = None
        if self.look.possible:
            self.looks.append(self.world.sum(torch.tensor(look, device=self.device)).tolist())
            fault = faults.collapse(self.looks, self.step)
        if fault and self.train.on_collapse != "warn":
            return fault
        if fault and self.world.writer:
            say("train", f"{fault.what}; {fault.remedy} (docs/training.md)")
        if self.anchored:
            self._save("anchor")
        return None

    def _write_snapshot(self) -> list[float]:
        """Write the averaged generator, statistics recomputed, and its fixed-latents grid."""
        model = copy.deepcopy(self.trainer.average)
        if not self.train.ema_decay:
            model.load_state_dict(self.trainer.generator.state_dict())
        draw = partial(snapshots.inputs, self.network, self.counts, self.train.seed, self.device)
        batches = [draw("statistics", i, self.train.batch_size) for i in range(STATISTICS_BATCHES)]
        recompute_statistics(model, batches)
        columns = len(self.counts) if self.counts and len(self.counts) <= 16 else 8
        inputs = draw("fixed_latents", 0, snapshots.ROWS * columns, cycle=True)
        picture = snapshots.write(self.folder, self.step, model, self.config(), inputs, columns)
        look = self.look.at(model, draw("look", 0, faults.LOOKED_AT)) if self.look.possible else []
        self.followers.picture(self.step, picture, dict(zip(faults.FIGURES, look, strict=False)))
        return look

    def config(self) -> dict[str, object]:
        """The configuration in a model file; nothing in it varies between identical runs."""
        return {
            **self.record,
            "network": self.network.model_dump(),
            "train": self.train.model_dump(exclude=set(FREE)),
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
        return weights(self.trainer)

    def _save(self, kind: str = "state") -> None:
        """Write the state, unless a weight is not finite: then the good ones before it stay."""
        if not self.world.writer or not self._finite():
            return
        tensors = {
            **trainer_tensors(self.trainer),
            "loop.counters": torch.tensor([self.step, self.attempt]),
            "loop.sums": self.sums,
            "loop.log": torch.tensor(self.log, dtype=torch.float64).reshape(-1, len(COLUMNS)),
            "loop.looks": torch.tensor(self.looks, dtype=torch.float64).reshape(-1, len(faults.FIGURES)),
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
        elif self.anchored:
            self._save("anchor")

    def _restore(self, content: bytes | None) -> None:
        """Restore the state that ``_save`` wrote."""
        if content is None:
            raise UserError(f"{self.folder}: the anchor to roll back to is gone; run the same command again")
        tensors = safetensors.torch.load(content)
        load_trainer(self.trainer, tensors)
        self.step, self.attempt = tensors["loop.counters"].tolist()
        self.sums.copy_(tensors["loop.sums"])
        self.log = tensors["loop.log"].tolist()
        self.looks = tensors["loop.looks"].tolist()
