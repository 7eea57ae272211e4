"""From params to networks: one table, one way to initialise."""

import torch
from torch import nn

from gan import seeds
from gan.networks import dcgan, mlp
from gan.params import Network

INITIAL_STD = 0.02  # Radford 2015, section 4


def build_generator(network: Network, image_size: int, channels: int) -> nn.Module:
    """Return the untrained generator that ``network`` describes: (N, latent_dim) → (N, C, H, W)."""
    if network.architecture == "mlp":
        return mlp.Generator(
            latent_dim=network.latent_dim,
            image_size=image_size,
            channels=channels,
            hidden_units=network.hidden_units,
            hidden_layers=network.hidden_layers,
        )
    return dcgan.Generator(
        latent_dim=network.latent_dim,
        image_size=image_size,
        channels=channels,
        base_channels=network.base_channels,
        kernel_size=network.kernel_size,
        depth=dcgan.depth_for(image_size, network.depth),
        dense_units=network.dense_units,
        generator_activation=network.generator_activation,
    )


def build_discriminator(network: Network, image_size: int, channels: int) -> nn.Module:
    """Return the untrained discriminator that ``network`` describes: (N, C, H, W) → logits (N,)."""
    if network.architecture == "mlp":
        return mlp.Discriminator(
            image_size=image_size,
            channels=channels,
            hidden_units=network.hidden_units,
            hidden_layers=network.hidden_layers,
            mlp_activation=network.mlp_activation,
            maxout_pieces=network.maxout_pieces,
            dropout=network.dropout,
        )
    return dcgan.Discriminator(
        image_size=image_size,
        channels=channels,
        base_channels=network.base_channels,
        kernel_size=network.kernel_size,
        depth=dcgan.depth_for(image_size, network.depth),
        dense_units=network.dense_units,
    )


@torch.no_grad()
def initialise(module: nn.Module, seed: int, purpose: str) -> None:
    """Draw weights from N(0, 0.02), batch normalisation's from N(1, 0.02); biases are 0."""
    rng = seeds.generator(seed, purpose)
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0.0, INITIAL_STD, generator=rng)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.weight.normal_(1.0, INITIAL_STD, generator=rng)
        else:
            continue
        if layer.bias is not None:
            layer.bias.zero_()


def draw_latents(network: Network, count: int, rng: torch.Generator) -> torch.Tensor:
    """Return latents (count, latent_dim) float32 on the generator's device.

    ``normal``: N(0, 1). ``uniform``: in [-1, 1), as Radford 2015 and Goodfellow 2014.
    """
    shape = (count, network.latent_dim)
    if network.latent_distribution == "uniform":
        return torch.rand(shape, generator=rng, device=rng.device) * 2 - 1
    return torch.randn(shape, generator=rng, device=rng.device)
