"""How fast bfloat16 is on this processor beside float32: a few steps of each, before a training.

A processor's flag says nothing about it: oneDNN's bfloat16 gradient of weights took ten times as long as
the float32 one on a processor with bfloat16 units (docs/performance.md).
"""

import time
from collections.abc import Callable

import torch

from gan.training.step import Trainer

STEPS = 3  # after a first one, in which libraries choose their kernels


def bf16_speed(
    new_trainer: Callable[[torch.dtype], Trainer], images: torch.Tensor, labels: torch.Tensor | None
) -> float:
    """Return the speed of steps in bfloat16 over that of steps in float32: below 1, float32 is faster.

    ``new_trainer`` makes a trainer of fresh weights that computes in the given type; ``images`` uint8
    (N, C, H, W) and ``labels`` int64 (N,) or None are one step's batch. The fastest step of each counts.
    """
    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        trainer = new_trainer(kind)
        trainer.step(images, labels, False)
        seconds[kind] = min(_seconds(trainer, images, labels) for _ in range(STEPS))
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _seconds(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor | None) -> float:
    started = time.perf_counter()
    trainer.step(images, labels, False)
    return time.perf_counter() - started
