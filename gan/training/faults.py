"""What may go wrong in a training, and how it is noticed: divergence, and a collapse of the samples.

Divergence shows in the losses. For a collapse, the samples of each snapshot are compared with real images.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import nn

from gan import seeds
from gan.data import images
from gan.networks.random_features import RandomFeatures, compare

LOOKED_AT = 128  # samples, and as many real images
LEAST_IMAGES = 16
FIGURES = ("distance", "diversity", "repetition")  # of `random_features.compare`
COLLAPSED = {"diversity": 0.5, "repetition": 0.25}  # below these; docs/training.md has figures
FORMING = 200  # steps in which samples of a healthy training may still be much alike
EXPLODED = 1e6  # a mean loss beyond this has left the range where training comes back


class Fault(NamedTuple):
    """What is wrong, what may help, and the param of `train` that decides what to do about it."""

    what: str
    remedy: str
    param: str


def divergence(means: Sequence[float], weights_finite: bool, since: int, step: int) -> Fault | None:
    """Judge the mean losses of the steps after ``since`` up to ``step``."""
    if weights_finite and all(abs(value) < EXPLODED for value in means):
        return None
    what = f"the loss or a weight is not finite, or beyond {EXPLODED:.0e}, between steps {since} and {step}"
    return Fault(what, "lower train.learning_rate", "on_divergence")


def signs(look: Sequence[float]) -> list[str]:
    """Return those of a snapshot's `FIGURES` that samples have which are much alike."""
    values = dict(zip(FIGURES, look, strict=True))
    return [f"{name} {values[name]:.2f}" for name, least in COLLAPSED.items() if values[name] < least]


class Look:
    """A comparison of samples with real images uint8 (N, C, H, W), which are looked at once."""

    def __init__(self, real: torch.Tensor) -> None:
        self.real = real
        self.possible = len(real) >= LEAST_IMAGES

    @cached_property
    def features(self) -> torch.Tensor:
        """Features of some real images, `LOOKED_AT` or all there are."""
        rows = torch.randperm(len(self.real), generator=seeds.generator(0, "look"))[:LOOKED_AT]
        return self.network(self.real[rows.to(self.real.device)].cpu())

    @cached_property
    def network(self) -> RandomFeatures:
        """The network that features come from."""
        return RandomFeatures(self.real.shape[1])

    @torch.no_grad()
    def at(self, model: nn.Module, latents: torch.Tensor) -> list[float]:
        """Return `FIGURES` for the model's samples of as many of the ``latents`` as there are real images."""
        samples = torch.from_numpy(images.to_uint8(model(latents[: len(self.features)])))
        figures = compare(self.features, self.network(samples))
        return [figures[name] for name in FIGURES]


def collapse(looks: Sequence[Sequence[float]], step: int) -> Fault | None:
    """Judge the last snapshot by its `FIGURES`; a young generator has to have been better before."""
    fallen = signs(looks[-1])
    if not fallen or (step < FORMING and all(signs(look) for look in looks)):
        return None
    what = f"step {step}: {', '.join(fallen)} (1 for real images): samples are much alike"
    remedy = "set train.r1_gamma to 1, raise train.augment_shift or lower train.learning_rate"
    return Fault(what, remedy, "on_collapse")


def improves_no_more(distances: Sequence[float], patience: int | None) -> bool:
    """Say whether the last ``patience`` snapshots all had a greater distance than the best one before."""
    if patience is None or len(distances) <= patience:
        return False
    return min(distances[-patience:]) >= min(distances[:-patience])
