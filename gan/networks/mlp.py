"""The fully connected GAN: Goodfellow et al. 2014, "Generative Adversarial Nets"
(arXiv:1406.2661), section 5: rectifier generator, maxout discriminator with dropout.

The paper's sigmoid output on pixels in [0, 1] is, on pixels in [-1, 1], a tanh.
Maxout: Goodfellow et al. 2013, "Maxout Networks" (arXiv:1302.4389), section 2.
"""

import math

import torch
from torch import nn


class Maxout(nn.Module):
    """(N, inputs) → (N, units): the maximum of ``pieces`` linear functions for each unit."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """See the class."""
        units: torch.Tensor = self.linear(inputs).unflatten(1, (-1, self.pieces)).amax(2)
        return units


class Generator(nn.Module):
    """Latents (N, latent_dim) float → images (N, channels, image_size, image_size) in [-1, 1]."""

    def __init__(
        self, *, latent_dim: int, image_size: int, channels: int, hidden_units: int, hidden_layers: int
    ) -> None:
        super().__init__()
        shape = (channels, image_size, image_size)
        layers: list[nn.Module] = []
        for i in range(hidden_layers):
            layers += [nn.Linear(hidden_units if i else latent_dim, hidden_units), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(
            *layers, nn.Linear(hidden_units, math.prod(shape)), nn.Unflatten(1, shape), nn.Tanh()
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """See the class."""
        images: torch.Tensor = self.layers(latents)
        return images


class Discriminator(nn.Module):
    """Images (N, channels, image_size, image_size) in [-1, 1] → logits (N,) of being real."""

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
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        width = channels * image_size**2
        for _ in range(hidden_layers):
            if mlp_activation == "maxout":
                layers.append(Maxout(width, hidden_units, maxout_pieces))
            else:
                layers += [nn.Linear(width, hidden_units), nn.LeakyReLU(0.2, inplace=True)]
            layers.append(nn.Dropout(dropout))
            width = hidden_units
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        logits: torch.Tensor = self.layers(images)
        return logits.squeeze(1)
