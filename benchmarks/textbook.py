"""The DCGAN step as tutorials write it: what the engine is measured against.

The layers are those of gan/networks/dcgan.py, but the latent enters through a transposed
convolution and the logit leaves through a convolution, the memory layout is the default one, D's
losses are two backward passes through a sigmoid, its gradients are computed in G's step too, Adam
is the default one, and four numbers are fetched from the device at every step.
"""

from typing import Any

import torch
from torch import nn

from gan.data import images as pixels
from gan.networks import build
from gan.params import Network, Train
from gan.params.fields import value_at

LAST = 4  # pixels a side where the latent enters and the logit leaves


def generator(network: Network, image_size: int, channels: int) -> nn.Sequential:
    """Return latents (N, latent_dim, 1, 1) → images (N, channels, image_size, image_size)."""
    ours: Any = build.build_generator(network, image_size, channels)
    norm, activation = ours.project[-2:]
    project = nn.ConvTranspose2d(network.latent_dim, norm.num_features, LAST, 1, 0, bias=False)
    return nn.Sequential(project, norm, activation, *ours.upsample)


def discriminator(network: Network, image_size: int, channels: int) -> nn.Sequential:
    """Return images (N, channels, image_size, image_size) → probabilities (N,) of being real."""
    ours: Any = build.build_discriminator(network, image_size, channels)
    layers = [layer for layer in ours.layers if not isinstance(layer, nn.Flatten)]
    width = next(layer.out_channels for layer in reversed(layers) if isinstance(layer, nn.Conv2d))
    return nn.Sequential(*layers, nn.Conv2d(width, 1, LAST, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0))


class Textbook:
    """Both networks, their optimisers, and one batch of ``images`` uint8 (N, C, H, W) for all steps."""

    def __init__(self, network: Network, train: Train, images: torch.Tensor, device: str) -> None:
        self.real = pixels.to_float(images).to(device)
        self.count, channels, size, _ = self.real.shape
        self.latent_dim, self.device = network.latent_dim, device
        self.generator, self.discriminator = (
            make(network, size, channels) for make in (generator, discriminator)
        )
        for model in (self.generator, self.discriminator):
            build.initialise(model, train.seed, "textbook")
            model.to(device)
        self.loss = nn.BCELoss()
        self.ones, self.zeros = (torch.full((self.count,), value, device=device) for value in (1.0, 0.0))
        rate, betas = value_at(train.learning_rate, 0), (train.beta1, value_at(train.beta2, 0))
        self.optimiser_g, self.optimiser_d = (
            torch.optim.Adam(model.parameters(), rate, betas)
            for model in (self.generator, self.discriminator)
        )

    def step(self) -> tuple[float, ...]:
        """Update D, then G. Returns loss_d, loss_g, and D's mean opinion of real and fake images."""
        self.optimiser_d.zero_grad()
        on_real = self.discriminator(self.real)
        loss_real = self.loss(on_real, self.ones)
        loss_real.backward()
        fakes = self.generator(torch.randn(self.count, self.latent_dim, 1, 1, device=self.device))
        on_fake = self.discriminator(fakes.detach())
        loss_fake = self.loss(on_fake, self.zeros)
        loss_fake.backward()
        self.optimiser_d.step()
        self.optimiser_g.zero_grad()
        loss_g = self.loss(self.discriminator(fakes), self.ones)
        loss_g.backward()
        self.optimiser_g.step()
        figures = (loss_real + loss_fake, loss_g, on_real.mean(), on_fake.mean())
        return tuple(value.item() for value in figures)
