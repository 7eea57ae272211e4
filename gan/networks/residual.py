"""Residual networks without normalisation: Huang 2024, "The GAN is dead; long live the GAN!"
(arXiv:2501.05441), section 3 and appendix, in the sizes of this repository.

A block is a bottleneck turned inside out: 1×1 to twice the channels, grouped 3×3, 1×1 back, added to
its input. Weights start at a standard deviation of gain / sqrt(fan_in), those of a block's last
convolution at 0, so that a new network computes its shortcuts alone (Zhang 2019, arXiv:1901.09321). Both
networks resample bilinearly. The 4×4 pixels of the bottom are learned bases: in the generator each
channel has one, and the latents say how much of it; in the discriminator each channel is weighed by one.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gan.networks.discriminator_head import LEAK, Head

EXPANSION = 2  # channels inside a block, by those outside
GROUP = 16  # channels of a group of a 3×3 convolution
GAIN = math.sqrt(2 / (1 + LEAK**2))  # keeps the variance through LeakyReLU (He 2015, equation 15)


class Convolution(nn.Conv2d):
    """A convolution whose weights start at a standard deviation of ``gain`` / sqrt(fan_in)."""

    def __init__(self, inputs: int, outputs: int, size: int, gain: float, *, groups: int = 1) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2, groups=groups)
        self.gain = gain


class Block(nn.Module):
    """(N, width, H, W) → the same shape; ``blocks`` of them are in the network."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        inner = EXPANSION * width
        gain = GAIN * blocks**-0.25  # Zhang 2019, section 3, for blocks of three layers
        self.widen = Convolution(width, inner, 1, gain)
        self.mix = Convolution(inner, inner, 3, gain, groups=max(inner // GROUP, 1))
        self.narrow = Convolution(inner, width, 1, 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, width, H, W) for ``x`` (N, width, H, W)."""
        inner = F.leaky_relu(self.mix(F.leaky_relu(self.widen(x), LEAK)), LEAK)
        total: torch.Tensor = x + self.narrow(inner)
        return total


def levels(widths: Sequence[int]) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return a block for each width, and the 1×1 convolutions from each width to the next."""
    blocks = nn.ModuleList([Block(width, len(widths)) for width in widths])
    return blocks, nn.ModuleList([Convolution(before, after, 1, 1.0) for before, after in pairwise(widths)])


class Generator(nn.Module):
    """Inputs (N, inputs) float → images (N, channels, image_size, image_size) in [-1, 1]."""

    def __init__(
        self, *, inputs: int, image_size: int, channels: int, base_channels: int, depth: int
    ) -> None:
        super().__init__()
        widths = [base_channels << level for level in reversed(range(depth + 1))]
        bottom = image_size >> depth
        self.mapping = nn.Linear(inputs, widths[0])
        self.basis = nn.Parameter(torch.ones(widths[0], bottom, bottom))
        self.blocks, self.shortcuts = levels(widths)
        self.last = Convolution(base_channels, channels, 1, 1.0)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images (N, channels, image_size, image_size) float in [-1, 1] for inputs (N, inputs)."""
        x = self.basis * self.mapping(inputs)[:, :, None, None]
        x = self.blocks[0](x.contiguous(memory_format=torch.channels_last))
        for shortcut, block in zip(self.shortcuts, self.blocks[1:], strict=True):
            # A 1×1 convolution and a doubling give the same in either order; this one is cheaper.
            x = block(doubled(shortcut(x)))
        images: torch.Tensor = torch.tanh(self.last(x))
        return images


class Discriminator(nn.Module):
    """Images (N, channels, image_size, image_size) in [-1, 1], labels → logits (N,) of being real."""

    def __init__(
        self, *, image_size: int, channels: int, base_channels: int, depth: int, classes: int
    ) -> None:
        super().__init__()
        widths = [base_channels << level for level in range(depth + 1)]
        bottom = image_size >> depth
        self.first = Convolution(channels, base_channels, 1, GAIN)
        self.blocks, self.shortcuts = levels(widths)
        self.basis = nn.Parameter(torch.ones(widths[-1], bottom, bottom))
        self.head = Head(widths[-1], 1, classes)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N,), higher for real; images in [-1, 1], one-hot labels (N, classes) or None."""
        x = self.blocks[0](self.first(images))
        for shortcut, block in zip(self.shortcuts, self.blocks[1:], strict=True):
            x = block(shortcut(F.avg_pool2d(x, 2)))  # at half the size, bilinear is the mean of four
        features = (x * self.basis).sum((2, 3)) / math.sqrt(self.basis[0].numel())
        logits: torch.Tensor = self.head(features.unsqueeze(2), labels)
        return logits


def doubled(x: torch.Tensor) -> torch.Tensor:
    """Return (N, C, 2H, 2W): ``x`` (N, C, H, W) resampled bilinearly, edges repeated.

    The same values as `F.interpolate`, whose gradient has other bits in each run on CUDA.
    """
    for dimension in (2, 3):
        size = x.shape[dimension]
        before = torch.cat([x.narrow(dimension, 0, 1), x.narrow(dimension, 0, size - 1)], dimension)
        after = torch.cat([x.narrow(dimension, 1, size - 1), x.narrow(dimension, size - 1, 1)], dimension)
        pair = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], dimension + 1)
        x = pair.flatten(dimension, dimension + 1)
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def initialise(module: nn.Module, rng: torch.Generator) -> None:
    """Set initial weights in place: by fan-in, bases N(0, 1), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            gain = getattr(layer, "gain", 1.0)
            layer.weight.normal_(generator=rng).mul_(gain / math.sqrt(layer.weight[0].numel()))
            if layer.bias is not None:
                layer.bias.zero_()
    for name, parameter in module.named_parameters():
        if name == "basis":
            parameter.normal_(generator=rng)
