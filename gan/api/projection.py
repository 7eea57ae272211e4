"""Latents of a given image, by optimisation: the inverse of a generator, as near as it gets.

Of many latents the nearest are taken as starts, and all of them are moved by Adam at the same time: one start
alone often ends in a poor local minimum (Creswell & Bharath 2018, arXiv:1802.05701, section IV).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from gan.data import images
from gan.evaluation.sampling import BLOCK, generate, sample_inputs
from gan.networks.build import labels_of
from gan.networks.model_file import Published

STARTS = 1024  # latents drawn, of which the nearest `BLOCK` are optimised
LEARNING_RATE = 0.05
PRIOR = 1e-3  # weight of the latents' squared length: far from all training latents no image is likely


@dataclass(frozen=True)
class Projection:
    """What was found: ``latents`` float32 (latent_dim,), ``image`` uint8 (height, width, channels).

    ``label`` is its class or None; ``rmse`` the root of the mean squared difference of pixels, 0 to 255.
    """

    latents: NDArray[np.float32]
    label: str | None
    image: NDArray[np.uint8]
    rmse: float


def nearest_latents(
    generator: Published, target: torch.Tensor, only: int | None, steps: int, seed: int, device: str
) -> Projection:
    """Find latents for ``target`` uint8 (channels, height, width), of class ``only`` if that is given.

    The same arguments give the same latents. The weights do not change.
    """
    model, latent_dim = generator.model.to(device), generator.network.latent_dim
    inputs = _starts(generator, target, only, seed, device)
    latents = inputs[:, :latent_dim].to(device).requires_grad_()
    labels, wanted = inputs[:, latent_dim:].to(device), images.to_float(target)[None].to(device)
    optimizer = torch.optim.Adam([latents], lr=LEARNING_RATE, betas=(0.9, 0.99))
    for _ in range(steps):
        loss = _distance(model(torch.cat([latents, labels], 1)), wanted) + PRIOR * latents.square().mean(1)
        (latents.grad,) = torch.autograd.grad(loss.sum(), latents)
        optimizer.step()
        if generator.network.latent_distribution == "uniform":
            with torch.no_grad():
                latents.clamp_(-1, 1)
    found = torch.cat([latents.detach(), labels], 1).cpu()
    drawn = generate(model, found, device)
    errors = (drawn.double() - target.double()).square().flatten(1).mean(1).sqrt()
    best = int(errors.argmin())
    numbers = labels_of(generator.network, found)
    return Projection(
        found[best, :latent_dim].numpy(),
        None if numbers is None else generator.classes()[numbers[best]],
        drawn[best].permute(1, 2, 0).numpy(),
        float(errors[best]),
    )


def _starts(
    generator: Published, target: torch.Tensor, only: int | None, seed: int, device: str
) -> torch.Tensor:
    """Return the `BLOCK` inputs, of `STARTS` drawn, whose images are nearest."""
    inputs = sample_inputs(generator, STARTS, seed, "projection", only=only)
    drawn = images.to_float(generate(generator.model, inputs, device))
    errors = _distance(drawn, images.to_float(target)[None])
    return inputs[errors.argsort(stable=True)[:BLOCK]]


def _distance(drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return mean squared differences (N,) at full and at half size: the latter sees shapes a pixel off."""
    full = (drawn - wanted).square().flatten(1).mean(1)
    half = (F.avg_pool2d(drawn, 2) - F.avg_pool2d(wanted, 2)).square().flatten(1).mean(1)
    return full + half
