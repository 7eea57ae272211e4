"""What is timed: the engine as users run it, with one choice off, the textbook step, the peak.

A contestant's ``chunk`` does so many unmeasured and so many measured steps.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import machine
from benchmarks.plain import PLAIN
from benchmarks.textbook import Textbook
from gan import devices
from gan.params import Network, Train, load
from gan.params.fields import value_at
from gan.training.feed import Data
from gan.training.loop import Loop
from gan.training.step import Trainer

ROOT = Path(__file__).parents[1]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

# As users run it: the weight average costs time, and `auto` decides as for a long training.
LONG = {"ema_decay": 0.999, "epochs": 10**6, "max_steps": None, "init_from": None, "devices": 1}


@dataclass(frozen=True)
class Job:
    """One contestant: what a worker needs to build it. ``images`` is an .npy, uint8 (N, C, H, W)."""

    name: str
    kind: Literal["engine", "textbook", "peak"]
    device: str
    precision: str
    threads: int
    image_size: int
    base_channels: int
    batch: int
    images: str
    folder: str
    cuda_graphs: str = "auto"
    compile: str = "auto"
    without: str = ""


def settings(job: Job) -> tuple[Network, Train]:
    """Return the sections that ``job`` is trained by."""
    params = load(ROOT / "params.yaml")
    switches = {"auto": "auto", "true": True, "false": False}
    shared = {
        "batch_size": job.batch,
        "threads": job.threads,
        "device": job.device,
        "precision": job.precision,
    }
    shared |= {"compile": switches[job.compile], "cuda_graphs": switches[job.cuda_graphs]}
    network = params.network.model_dump() | PLAIN["network"] | {"base_channels": job.base_channels}
    train = params.train.model_dump() | PLAIN["train"] | LONG | shared
    return Network.model_validate(network), Train.model_validate(train)


def build(job: Job) -> "Engine | Tutorial | Peak":
    """Return the contestant that ``job`` describes."""
    if job.kind == "engine":
        return Engine(job)
    return Tutorial(job) if job.kind == "textbook" else Peak(job)


class Engine:
    """The project's training loop."""

    def __init__(self, job: Job) -> None:
        self.device = devices.prepare(job.device, job.threads, job.precision)
        network, train = settings(job)
        self.loop = Loop(
            network,
            train,
            Data(torch.from_numpy(np.load(job.images))),
            Path(job.folder),
            self.device,
            precision=devices.precision(job.precision, self.device),
        )
        if job.without:
            WITHOUT[job.without](self.loop.trainer)

    def flops(self) -> float:
        """Return the FLOPs of one step, which is done; the counter cannot look into compiled networks."""
        trainer = self.loop.trainer
        forwards = trainer.forward_g, trainer.forward_d
        trainer.forward_g, trainer.forward_d = trainer.generator, trainer.discriminator
        images, labels = self.loop.feed.batch(0)
        count = count_flops(lambda: trainer.step(images, labels, False))
        trainer.forward_g, trainer.forward_d = forwards
        return count

    def chunk(self, warmup: int, steps: int) -> list[float]:
        """See ``measure``."""
        return measure(self.loop.advance, warmup, steps, self.device)


class Tutorial:
    """The textbook step, cudnn choosing its algorithms by trial as tutorials have it do."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        torch.backends.cudnn.benchmark = True
        network, train = settings(job)
        images = torch.from_numpy(np.load(job.images)[: job.batch])
        self.device, self.textbook = job.device, Textbook(network, train, images, job.device)

    def flops(self) -> float:
        """Return the FLOPs of one step, which is done."""
        return count_flops(self.textbook.step)

    def chunk(self, warmup: int, steps: int) -> list[float]:
        """See ``measure``."""
        return measure(self.textbook.step, warmup, steps, self.device)


class Peak:
    """The machine's fastest matrix product in the job's precision."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        self.device, self.dtype = job.device, DTYPES[job.precision]

    def flops(self) -> float:
        """Return 1: a rate is measured, as if each step were one operation."""
        return 1.0

    def chunk(self, _warmup: int, _steps: int) -> list[float]:
        """Return the seconds of one FLOP."""
        return [1 / machine.matrix_rate(self.device, self.dtype)]


def measure(step: Callable[[], object], warmup: int, steps: int, device: str) -> list[float]:
    """Return the seconds of each of ``steps`` steps; on CUDA their mean alone.

    Nothing waits for a GPU between the steps of a training, so nothing does here.
    """
    for _ in range(warmup):
        step()
    machine.synchronise(device)
    stamps = [time.perf_counter()]
    for _ in range(steps):
        step()
        stamps.append(time.perf_counter())
    if device == "cpu":
        return [after - before for before, after in pairwise(stamps)]
    machine.synchronise(device)
    return [(time.perf_counter() - stamps[0]) / steps]


def count_flops(step: Callable[[], object]) -> float:
    """Return the FLOPs of the matrix products and convolutions in ``step``; a multiply-add is two."""
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def _without_channels_last(trainer: Trainer) -> None:
    judge = trainer.judge
    for model in (trainer.generator, trainer.discriminator, trainer.average):
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    # A convolution takes the layout of its input: turn the images too, a copy that costs next to nothing.
    trainer.judge = lambda images, labels: judge(images.contiguous(), labels)  # type: ignore[method-assign]


def _without_freezing(trainer: Trainer) -> None:
    discriminator = trainer.discriminator
    discriminator.requires_grad_ = lambda _wanted=True: discriminator  # type: ignore[method-assign,assignment]


def _without_fused_adam(trainer: Trainer) -> None:
    rate, betas = trainer.learning_rate(0), (trainer.train.beta1, value_at(trainer.train.beta2, 0))
    trainer.optimiser_g, trainer.optimiser_d = (
        torch.optim.Adam(model.parameters(), rate, betas)
        for model in (trainer.generator, trainer.discriminator)
    )


WITHOUT: dict[str, Callable[[Trainer], None]] = {
    "channels-last": _without_channels_last,
    "frozen D": _without_freezing,
    "fused Adam": _without_fused_adam,
}
