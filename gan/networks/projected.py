"""Networks for few images: Sauer 2021, "Projected GANs Converge Faster" (arXiv:2111.01007), with the
generator of Liu 2021, "Towards Faster and Stabilized GAN Training" (FastGAN, arXiv:2101.04775).

The discriminator never sees pixels. It sees the maps of a network that was trained on ImageNet and stays
as it is (`efficientnet_lite`), mixed across channels and scales by random convolutions that stay as they
are, too: few images cannot be learnt by heart through features that others made. On each of the 4 scales
stands a small discriminator. Gradients reach the generator through all of it. Beyond the paper, each also
sees how much a group of images differs (Karras 2018, "Progressive Growing of GANs", arXiv:1710.10196,
section 3): else the generator draws few kinds of images.

In the generator, small maps weigh the channels of maps that are 8 times as large (FastGAN, equation 1).
Its noise is left out, since the same latents are the same image here. For a processor it is lightened:
transposed convolutions and ReLU in place of doublings, convolutions and gated units took a sixth to a third
of the time for as many channels.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from gan import seeds
from gan.networks.discriminator_head import LEAK, Head
from gan.networks.efficientnet_lite import WIDTHS, EfficientNetLite, enlarged
from gan.networks.residual import doubled
from gan.params.training import GROUP

SKIP = 3  # doublings from a map to the one whose channels it weighs
# Pixels at least that the features are of. Of 128 the network knows more, so `evaluate` shows it those. But
# a step takes 1.7 times as long, and in equal seconds the samples were farther off (docs/decisions.md).
SIDE = 64
DEVIATIONS = (8.7, 8.0, 6.8, 3.2)  # of the maps of CIFAR-10's images: all scales begin alike
MIXED = (64, 64, 128, 256)  # channels of each scale after mixing
PLACES = 4  # rows and columns of logits on each scale, unless its map is smaller


class Generator(nn.Module):
    """Inputs (N, inputs) float → images (N, channels, image_size, image_size) in [-1, 1]."""

    def __init__(
        self, *, inputs: int, image_size: int, channels: int, base_channels: int, depth: int
    ) -> None:
        super().__init__()
        widths = [base_channels << i for i in reversed(range(depth + 1))]
        bottom = image_size >> depth
        self.project = nn.Sequential(
            nn.Linear(inputs, widths[0] * bottom**2, bias=False),
            nn.Unflatten(1, (widths[0], bottom, bottom)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.ups = nn.ModuleList(_up(before, after) for before, after in pairwise(widths))
        skips = zip(widths, widths[SKIP:], strict=False)
        self.skips = nn.ModuleList(Excitation(*pair, bottom << i) for i, pair in enumerate(skips))
        self.last = nn.Sequential(nn.Conv2d(base_channels, channels, 3, 1, 1), nn.Tanh())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images (N, channels, image_size, image_size) float in [-1, 1] for inputs (N, inputs)."""
        maps = [self.project(inputs).contiguous(memory_format=torch.channels_last)]
        for i, up in enumerate(self.ups):
            x = up(maps[-1])
            first = i + 1 - SKIP
            maps.append(x if first < 0 else x * self.skips[first](maps[first]))
        images: torch.Tensor = self.last(maps[-1])
        return images


class Excitation(nn.Module):
    """Small maps (N, inputs, side, side) → a weight for each channel of larger ones (N, outputs, 1, 1)."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        kernel = min(side, 4)
        self.pooled = side // kernel
        # As convolutions of one place they took a third of the backward pass on a CPU.
        self.first, self.second = nn.Linear(inputs * kernel**2, outputs), nn.Linear(outputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return weights (N, outputs, 1, 1) from 0 to 1 for ``x`` (N, inputs, side, side)."""
        inner = F.leaky_relu(self.first(F.avg_pool2d(x, self.pooled).flatten(1)), 0.1)
        return torch.sigmoid(self.second(inner))[:, :, None, None]


def _up(inputs: int, outputs: int) -> nn.Module:
    """(N, inputs, H, W) → (N, outputs, 2H, 2W)."""
    doubling = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    return nn.Sequential(doubling, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Discriminator(nn.Module):
    """Images (N, 1 or 3, H, W) in [-1, 1], labels → logits (N, places) of being real, of all scales.

    Its state holds what is trained, the heads. ``fill`` gives it the rest.
    """

    def __init__(self, *, image_size: int, classes: int) -> None:
        super().__init__()
        side = max(image_size, SIDE)
        self.features = EfficientNetLite()
        self.mixing = Mixing()
        self.heads = nn.ModuleList(
            ScaleHead(width, side >> (2 + i), classes) for i, width in enumerate(MIXED)
        )

    def fill(self) -> None:
        """Take over the published weights and the random ones. Raises UserError without the package."""
        self.features.fill()
        self.mixing.fill()

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N, places), higher for real; images in [-1, 1], labels (N, classes) or None."""
        mixed = self.mixing(self.features.maps(enlarged(images.expand(-1, 3, -1, -1), SIDE)))
        return torch.cat([head(maps, labels) for head, maps in zip(self.heads, mixed, strict=True)], 1)


class Mixing(nn.Module):
    """Random fixed convolutions across channels and, from the smallest map up, scales (section 3.2).

    4 maps (N, `WIDTHS`[i], s, s) → 4 maps (N, `MIXED`[i], s, s). The weights are those of one seed for all
    trainings, so that no file has to hold them.
    """

    def __init__(self) -> None:
        super().__init__()
        for i, (before, after) in enumerate(zip(WIDTHS, MIXED, strict=True)):
            self.register_buffer(f"across_{i}", torch.zeros(after, before, 1, 1), False)
        for i, (below, above) in enumerate(pairwise(MIXED)):
            self.register_buffer(f"down_{i}", torch.zeros(below, above, 3, 3), False)

    @torch.no_grad()
    def fill(self) -> None:
        """Draw the weights: N(0, 1 / fan_in), so that what comes out has about a deviation of 1."""
        rng = seeds.generator(0, "mixing")
        for _, weight in sorted(self.named_buffers()):
            drawn = torch.randn(weight.shape, generator=rng, device="cpu")
            weight.copy_(drawn / math.sqrt(weight[0].numel()))

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the mixed maps, the largest first."""
        mixed: list[torch.Tensor] = []
        for i in reversed(range(len(maps))):
            x = F.conv2d(maps[i] / DEVIATIONS[i], self.get_buffer(f"across_{i}"))
            if mixed:
                below = F.conv2d(mixed[0], self.get_buffer(f"down_{i}"), padding=1)
                x = (x + doubled(below)) * math.sqrt(0.5)
            mixed.insert(0, x)
        return mixed


class ScaleHead(nn.Module):
    """A small discriminator of one scale: maps (N, width, side, side), labels → logits (N, places)."""

    def __init__(self, width: int, side: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range((side // PLACES).bit_length() - 1):
            layers += [nn.Conv2d(width, width, 4, 2, 1), nn.LeakyReLU(LEAK, inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Sequential(nn.Conv2d(width + 1, width, 3, 1, 1), nn.LeakyReLU(LEAK, inplace=True))
        self.head = Head(width, 1, classes)

    def forward(self, maps: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N, places) for maps (N, width, side, side): `PLACES`² or one for each pixel.

        In evaluation mode every image is seen alone, so its activations do not depend on the others.
        """
        x = self.layers(maps)
        spread = deviation(x) if self.training else x.new_zeros(len(x))
        x = torch.cat([x, spread.to(x.dtype)[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)
        places = self.last(x).flatten(2).mT  # (N, places, width)
        count = places.shape[1]
        hot = None if labels is None else labels.repeat_interleave(count, 0)
        logits: torch.Tensor = self.head(places.flatten(0, 1).unsqueeze(2), hot).reshape(-1, count)
        return logits


def deviation(maps: torch.Tensor) -> torch.Tensor:
    """Return (N,) float32, at least 0: how much each group of maps (N, C, H, W) differs.

    The standard deviation of each feature over a group, averaged over all features. A group is 4 images
    that follow one another, or 2 or 1 where 4 does not divide N.
    """
    size = math.gcd(len(maps), GROUP)
    groups = maps.float().unflatten(0, (-1, size))  # (groups, size, C, H, W)
    variance = (groups - groups.mean(1, keepdim=True)).square().mean(1)
    spread = (variance + 1e-8).sqrt().flatten(1).mean(1)  # at 0 the slope of sqrt is infinite
    each: torch.Tensor = spread.repeat_interleave(size)
    return each
