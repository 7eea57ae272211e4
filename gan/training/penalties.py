"""Penalties on D's gradient with respect to the images it sees. All of them differentiate twice."""

import torch

from gan.training.draws import Draws


def zero_centred(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """R1 at real images, R2 at generated ones, without gamma / 2: the mean of ‖∇D(x)‖².

    Mescheder 2018 (arXiv:1801.04406), equation 9. ``logits`` (N,) were computed from ``images``
    (N, C, H, W), which require gradients.
    """
    return _gradient(logits, images).square().sum(1).mean()


def one_centred(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The mean of (‖∇D(x)‖ - 1)²: Gulrajani 2017 (arXiv:1704.00028), equation 3, without lambda."""
    # The root has no derivative at 0, where a saturated D can be. Taken in float64: MKL's of float32
    # is rounded otherwise on some processors.
    length = (_gradient(logits, images).square().sum(1) + 1e-12).double().sqrt().float()
    return (length - 1).square().mean()


def between(real: torch.Tensor, fake: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Return images on straight lines between real and generated ones, one uniform point each."""
    return real.lerp(fake, draws.uniform(len(real), 1, 1, 1)).requires_grad_()


def _gradient(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    # A sum: every logit depends on its own image (but for batch normalisation, as in all peers).
    total = logits.sum() if logits.ndim == 1 else logits.mean(1).sum()  # D(x) is the mean of its places
    (gradient,) = torch.autograd.grad(total, images, create_graph=True)
    return gradient.flatten(1)
