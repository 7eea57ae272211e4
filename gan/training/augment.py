"""Differentiable augmentation: Zhao 2020 (arXiv:2006.10738), so that few images do not overfit D.

D sees real and generated images through the same random changes. With a ``probability`` below 1
each change comes to that share of the images, as in adaptive augmentation (Karras 2020,
arXiv:2006.06676), where the probability follows how surely D knows the training images.
"""

from dataclasses import dataclass

import torch

from gan.training.draws import Draws


@dataclass(frozen=True)
class Augment:
    """Which changes: ``shift`` in pixels, ``color`` and ``cutout`` from 0 (none) to 1."""

    shift: int
    color: float
    cutout: float

    def __call__(
        self, images: torch.Tensor, draws: Draws, probability: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return changed ``images`` (N, C, H, W) in [-1, 1]; ``probability`` () or None for always."""
        if self.color:
            images = recolor(images, self.color * _chosen(images, draws, probability), draws)
        if self.shift:
            images = translate(images, self.shift * _chosen(images, draws, probability), draws)
        if self.cutout:
            images = cut_out(images, self.cutout, _chosen(images, draws, probability), draws)
        return images


def _chosen(images: torch.Tensor, draws: Draws, probability: torch.Tensor | None) -> torch.Tensor:
    """Return (N, 1, 1, 1): 1 for the images that are changed, 0 for the others."""
    if probability is None:
        return images.new_ones(len(images), 1, 1, 1)
    return (draws.uniform(len(images), 1, 1, 1) < probability).to(images.dtype)


def recolor(images: torch.Tensor, strength: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Change brightness (±0.5), saturation (times 0 to 2) and contrast (times 0.5 to 1.5).

    ``strength`` (N, 1, 1, 1) from 0 to 1 scales all three.
    """
    brightness, saturation, contrast = (
        strength * (2 * draws.uniform(len(images), 1, 1, 1) - 1) for _ in range(3)
    )
    images = images + brightness / 2
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (1 + saturation) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (1 + contrast / 2) + mean


def translate(images: torch.Tensor, limit: torch.Tensor, draws: Draws, fill: float = -1.0) -> torch.Tensor:
    """Shift each image by up to ``limit`` (N, 1, 1, 1) whole pixels along both axes; ``fill`` comes in.

    Written as two products with 0/1 matrices: gradients flow, and on every device the same bits
    come out, which indexing with gradients does not promise.
    """
    rows, columns = (_shifts(size, limit, draws).to(images.dtype) for size in images.shape[2:])
    shifted: torch.Tensor = rows @ (images - fill) @ columns.mT + fill
    return shifted.contiguous(memory_format=torch.channels_last)


def _shifts(size: int, limit: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Return matrices (N, 1, size, size) that each move a vector by a random offset."""
    offsets = (draws.uniform(len(limit), 1, 1, 1) * (2 * limit + 1)).floor() - limit
    index = torch.arange(size, device=limit.device)
    return index[:, None] + offsets == index


def cut_out(images: torch.Tensor, share: float, chosen: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Grey out one square, ``share`` of a side long, centred anywhere, in the ``chosen`` images."""
    inside = []
    for size in images.shape[2:]:
        centre = draws.uniform(len(images), 1, 1, 1) * size
        index = torch.arange(size, device=images.device) + 0.5
        inside.append((index - centre).abs() < share * size / 2)
    hole = (inside[0].mT & inside[1]).to(images.dtype)
    return images * (1 - chosen * hole)
