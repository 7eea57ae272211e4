"""DCGAN: Radford, Metz, Chintala 2015, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks" (arXiv:1511.06434), section 3 and figure 1.

All convolutions have stride 2; there is no pooling. Every layer has batch normalisation, except the
generator's last and the discriminator's first. The optional dense layer (`dense_units`) is not in the
paper; recipes/cifar10-seed.yaml uses it.
"""

import torch
from torch import nn

from gan.networks.discriminator_head import LEAK, Head


def depth_for(image_size: int, depth: int | str) -> int:
    """Return the number of stride-2 convolutions; `auto` stops at 4×4 pixels, as the paper does."""
    return image_size.bit_length() - 3 if depth == "auto" else int(depth)


def activation(name: str) -> nn.Module:
    """Return the activation called ``relu`` or ``leaky_relu``."""
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(LEAK, inplace=True)


class Generator(nn.Module):
    """Inputs (N, inputs) float → images (N, channels, image_size, image_size) in [-1, 1]."""

    def __init__(
        self,
        *,
        inputs: int,
        image_size: int,
        channels: int,
        base_channels: int,
        kernel_size: int,
        depth: int,
        dense_units: int,
        generator_activation: str,
    ) -> None:
        super().__init__()
        act = generator_activation
        top, bottom = base_channels << (depth - 1), image_size >> depth
        dense: list[nn.Module] = []
        if dense_units:
            dense = [nn.Linear(inputs, dense_units, bias=False), nn.BatchNorm1d(dense_units)]
            dense.append(activation(act))
        # "Project and reshape" is a matrix product: the peers' first transposed convolution, faster.
        self.project = nn.Sequential(
            *dense,
            nn.Linear(dense_units or inputs, top * bottom**2, bias=False),
            nn.Unflatten(1, (top, bottom, bottom)),
            nn.BatchNorm2d(top),
            activation(act),
        )
        layers: list[nn.Module] = []
        for i in reversed(range(1, depth)):
            width = base_channels << (i - 1)
            layers += [_up(width * 2, width, kernel_size, bias=False), nn.BatchNorm2d(width), activation(act)]
        self.upsample = nn.Sequential(
            *layers, _up(base_channels, channels, kernel_size, bias=True), nn.Tanh()
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images (N, channels, image_size, image_size) float in [-1, 1] for inputs (N, inputs)."""
        images: torch.Tensor = self.upsample(self.project(inputs))
        return images


class Discriminator(nn.Module):
    """Images (N, channels, image_size, image_size) in [-1, 1], labels → logits (N,) of being real.

    The sigmoid of the paper is in the loss, where it is stable.
    """

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        base_channels: int,
        kernel_size: int,
        depth: int,
        dense_units: int,
        classes: int,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_down(channels, base_channels, kernel_size, bias=True)]
        layers.append(activation("leaky_relu"))
        for i in range(1, depth):
            width = base_channels << i
            layers += [_down(width // 2, width, kernel_size, bias=False), nn.BatchNorm2d(width)]
            layers.append(activation("leaky_relu"))
        units, area = base_channels << (depth - 1), (image_size >> depth) ** 2
        if dense_units:
            layers += [nn.Flatten(), nn.Linear(units * area, dense_units, bias=False)]
            layers += [nn.BatchNorm1d(dense_units), activation("leaky_relu"), nn.Unflatten(1, (-1, 1))]
            units, area = dense_units, 1
        self.layers = nn.Sequential(*layers)
        self.head = Head(units, area, classes)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N,), higher for real; images in [-1, 1], one-hot labels (N, classes) or None."""
        logits: torch.Tensor = self.head(self.layers(images), labels)
        return logits


def _up(inputs: int, outputs: int, kernel: int, *, bias: bool) -> nn.Module:
    """Twice the size: fractionally strided convolution."""
    odd = kernel % 2  # an odd kernel needs one row more to land on the double size
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, odd, bias=bias)


def _down(inputs: int, outputs: int, kernel: int, *, bias: bool) -> nn.Module:
    """Half the size: strided convolution."""
    return nn.Conv2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, bias=bias)
