"""Residual networks: Miyato 2018, "Spectral Normalization for Generative Adversarial Networks"
(arXiv:1802.05957), appendix B.4 and tables 4 and 5, after Gulrajani 2017 (arXiv:1704.00028).

Each block has two 3×3 convolutions and a shortcut. The generator doubles the size by nearest
neighbours. The discriminator halves it by averaging. It has no batch normalisation, so spectral
normalisation or a gradient penalty can keep it smooth. The number of channels doubles with each block
away from the image.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gan.networks.discriminator_head import Head


class Generator(nn.Module):
    """Inputs (N, inputs) float → images (N, channels, image_size, image_size) in [-1, 1]."""

    def __init__(
        self, *, inputs: int, image_size: int, channels: int, base_channels: int, depth: int
    ) -> None:
        super().__init__()
        bottom = image_size >> depth
        widths = [base_channels << i for i in reversed(range(depth))]
        self.project = nn.Sequential(
            nn.Linear(inputs, widths[0] * bottom**2), nn.Unflatten(1, (widths[0], bottom, bottom))
        )
        pairs = zip([widths[0], *widths], widths, strict=False)
        self.blocks = nn.Sequential(*(Up(before, after) for before, after in pairs))
        self.last = nn.Sequential(
            nn.BatchNorm2d(base_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(base_channels, channels, 3, 1, 1),
            nn.Tanh(),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images (N, channels, image_size, image_size) float in [-1, 1] for inputs (N, inputs)."""
        start = self.project(inputs).contiguous(memory_format=torch.channels_last)
        images: torch.Tensor = self.last(self.blocks(start))
        return images


class Discriminator(nn.Module):
    """Images (N, channels, image_size, image_size) in [-1, 1], labels → logits (N,) of being real."""

    def __init__(
        self, *, image_size: int, channels: int, base_channels: int, depth: int, classes: int
    ) -> None:
        super().__init__()
        widths = [base_channels << i for i in range(depth)]
        downs = [Down(channels, widths[0], first=True)]
        downs += [Down(before, after) for before, after in pairwise(widths)]
        self.blocks = nn.Sequential(*downs, Down(widths[-1], widths[-1], halve=False))
        self.head = Head(widths[-1], 1, classes)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N,), higher for real; images in [-1, 1], one-hot labels (N, classes) or None."""
        features = F.relu(self.blocks(images)).mean((2, 3))
        logits: torch.Tensor = self.head(features.unsqueeze(2), labels)
        return logits


class Up(nn.Module):
    """(N, inputs, H, W) → (N, outputs, 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)])
        self.first = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, outputs, 2H, 2W) for ``x`` (N, inputs, H, W)."""
        inner = self.first(_double(F.relu(self.norms[0](x))))
        inner = self.second(F.relu(self.norms[1](inner)))
        # A 1×1 convolution and a doubling give the same in either order; this one is cheaper.
        total: torch.Tensor = inner + _double(self.shortcut(x))
        return total


class Down(nn.Module):
    """(N, inputs, H, W) → (N, outputs, H/2, W/2), or the same size with ``halve`` off."""

    def __init__(self, inputs: int, outputs: int, *, halve: bool = True, first: bool = False) -> None:
        super().__init__()
        self.halve, self.activate = halve, not first  # the first block sees pixels, which ReLU would cut
        self.first = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if halve or inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, outputs, H/2, W/2) for ``x`` (N, inputs, H, W), or the same size without ``halve``."""
        inner = self.second(F.relu(self.first(F.relu(x) if self.activate else x)))
        if self.halve:
            inner, x = F.avg_pool2d(inner, 2), F.avg_pool2d(x, 2)
        total: torch.Tensor = inner + (x if self.shortcut is None else self.shortcut(x))
        return total


def _double(x: torch.Tensor) -> torch.Tensor:
    doubled: torch.Tensor = F.interpolate(x, scale_factor=2, mode="nearest")
    return doubled
