"""Differentiable augmentation: Zhao et al. 2020 (arXiv:2006.10738), its translation."""

import torch


def translate(images: torch.Tensor, limit: int, rng: torch.Generator, fill: float = -1.0) -> torch.Tensor:
    """Shift each image (N, C, H, W) by up to ``limit`` pixels along both axes; ``fill`` comes in.

    Written as two products with 0/1 matrices: gradients flow, and on every device the same bits
    come out, which indexing with gradients does not promise.
    """
    if limit == 0:
        return images
    rows, columns = (_shifts(len(images), size, limit, rng).to(images.dtype) for size in images.shape[2:])
    shifted: torch.Tensor = rows @ (images - fill) @ columns.mT + fill
    return shifted.contiguous(memory_format=torch.channels_last)


def _shifts(count: int, size: int, limit: int, rng: torch.Generator) -> torch.Tensor:
    """Return matrices (count, 1, size, size) that each move a vector by a random offset."""
    offsets = torch.randint(-limit, limit + 1, (count, 1, 1, 1), generator=rng, device=rng.device)
    index = torch.arange(size, device=rng.device)
    return index[:, None] + offsets == index
