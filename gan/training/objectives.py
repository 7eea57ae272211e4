"""Objectives: each is a function from D's logits to the two losses, named and cited.

``real`` and ``fake`` (N,), or (N, places), are D's logits of real and generated images, ``target`` is
the label of real ones (1, or less with one-sided label smoothing: Salimans 2016, arXiv:1606.03498, 3.4).
The result is (loss_d, loss_g), both to be minimised, both scalars.

A new objective is one function here and its name in `Objective` in gan/params/training.py.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus

PAIRED = frozenset({"relativistic"})  # the generator's loss looks at real images too


def non_saturating(real: Tensor, fake: Tensor, target: float = 1.0) -> tuple[Tensor, Tensor]:
    """Goodfellow 2014 (arXiv:1406.2661), section 3: G maximises log D(G(z)), so that it learns early."""
    return _cross_entropy(real, fake, target), softplus(-fake).mean()


def minimax(real: Tensor, fake: Tensor, target: float = 1.0) -> tuple[Tensor, Tensor]:
    """Goodfellow 2014 (arXiv:1406.2661), equation 1: G minimises log(1 - D(G(z)))."""
    return _cross_entropy(real, fake, target), -softplus(fake).mean()


def least_squares(real: Tensor, fake: Tensor, target: float = 1.0) -> tuple[Tensor, Tensor]:
    """LSGAN: Mao 2017 (arXiv:1611.04076), equation 9: a = 0, b = c = 1."""
    loss_d = 0.5 * ((real - target).square().mean() + fake.square().mean())
    return loss_d, 0.5 * (fake - 1).square().mean()


def hinge(real: Tensor, fake: Tensor, _target: float = 1.0) -> tuple[Tensor, Tensor]:
    """Lim & Ye 2017 (arXiv:1705.02894); Miyato 2018 (arXiv:1802.05957), equations 16 and 17."""
    return relu(1 - real).mean() + relu(1 + fake).mean(), -fake.mean()


def wasserstein(real: Tensor, fake: Tensor, _target: float = 1.0) -> tuple[Tensor, Tensor]:
    """Arjovsky 2017 (arXiv:1701.07875), algorithm 1; with `gradient_penalty` Gulrajani 2017."""
    return fake.mean() - real.mean(), -fake.mean()


def relativistic(real: Tensor, fake: Tensor, _target: float = 1.0) -> tuple[Tensor, Tensor]:
    """Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734); R3GAN (arXiv:2501.05441), 2.1."""
    return softplus(fake - real).mean(), softplus(real - fake).mean()


def _cross_entropy(real: Tensor, fake: Tensor, target: float) -> Tensor:
    """-(log D(x) + log(1 - D(G(z)))) on logits, where it is stable; ``target`` below 1 smooths."""
    smoothed = softplus(-real) if target == 1 else target * softplus(-real) + (1 - target) * softplus(real)
    return smoothed.mean() + softplus(fake).mean()
