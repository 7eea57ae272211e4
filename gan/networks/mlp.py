"""The fully connected GAN: Goodfellow et al. 2014, "Generative Adversarial Nets"
(arXiv:1406.2661), section 5: rectifier generator, maxout discriminator with dropout.

The paper's sigmoid output on pixels in [0, 1] is, on pixels in [-1, 1], a tanh.
Maxout: Goodfellow et al. 2013, "Maxout Networks" (arXiv:1302.4389), section 2.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from gan.networks.discriminator_head import LEAK, Head


class Maxout(nn.Module):
    """(N, inputs) → (N, units): the maximum of ``pieces`` linear functions for each unit."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (N, units) for inputs (N, inputs)."""
        units: torch.Tensor = self.linear(inputs).unflatten(1, (-1, self.pieces)).amax(2)
        return units


class Dropout(nn.Module):
    """nn.Dropout that takes its random numbers from ``uniform``, which the trainer sets (see Draws)."""

    uniform: Callable[..., torch.Tensor] = staticmethod(torch.rand)

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Zero a random ``share`` of ``inputs`` (N, units) in training, and scale up the rest."""
        if not (self.training and self.share):
            return inputs
        mask = self.uniform(*inputs.shape) >= self.share
        return inputs * mask / (1 - self.share)


class Generator(nn.Module):
    """Inputs (N, inputs) float → images (N, channels, image_size, image_size) in [-1, 1]."""

    def __init__(
        self, *, inputs: int, image_size: int, channels: int, hidden_units: int, hidden_layers: int
    ) -> None:
        super().__init__()
        shape = (channels, image_size, image_size)
        layers: list[nn.Module] = []
        for i in range(hidden_layers):
            layers += [nn.Linear(hidden_units if i else inputs, hidden_units), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(
            *layers, nn.Linear(hidden_units, math.prod(shape)), nn.Unflatten(1, shape), nn.Tanh()
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return images (N, channels, image_size, image_size) float in [-1, 1] for inputs (N, inputs)."""
        images: torch.Tensor = self.layers(inputs)
        return images


class Discriminator(nn.Module):
    """Images (N, channels, image_size, image_size) in [-1, 1], labels → logits (N,) of being real."""

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        hidden_units: int,
        hidden_layers: int,
        mlp_activation: str,
        maxout_pieces: int,
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = channels * image_size**2
        for _ in range(hidden_layers):
            if mlp_activation == "maxout":
                layers.append(Maxout(width, hidden_units, maxout_pieces))
            else:
                layers += [nn.Linear(width, hidden_units), nn.LeakyReLU(LEAK, inplace=True)]
            layers.append(Dropout(dropout))
            width = hidden_units
        self.layers = nn.Sequential(*layers)
        self.head = Head(width, 1, classes)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N,), higher for real; images in [-1, 1], one-hot labels (N, classes) or None."""
        logits: torch.Tensor = self.head(self.layers(images).unsqueeze(2), labels)
        return logits
