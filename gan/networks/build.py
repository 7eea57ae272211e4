"""From params to networks: which class to build, initial weights, and the generator's inputs."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from gan import seeds
from gan.networks import dcgan, mlp, projected, residual, resnet
from gan.params import Network

WITH_SHORTCUTS = {"resnet": resnet, "residual": residual}
SCALED = {**WITH_SHORTCUTS, "projected": projected}  # generators of a width and a depth alone
INITIAL_STD = 0.02  # Radford 2015, section 4
# With 1 the classes were learnt later (docs/quality.md). With 10, the length of the latents, the weights
# of the label changed so much faster under Adam that the generator ignored the latents: one image per class.
LABEL_LENGTH = 3.0


def build_generator(network: Network, image_size: int, channels: int, classes: int = 0) -> nn.Module:
    """Return the untrained generator that ``network`` describes: inputs → images (N, C, H, W).

    Inputs (N, latent_dim + classes) come from ``join``. ``classes`` is 0 for a generator without classes.
    """
    inputs = network.latent_dim + classes
    if network.architecture == "mlp":
        return mlp.Generator(
            inputs=inputs,
            image_size=image_size,
            channels=channels,
            hidden_units=network.hidden_units,
            hidden_layers=network.hidden_layers,
        )
    depth = dcgan.depth_for(image_size, network.depth)
    if network.architecture in SCALED:
        made: nn.Module = SCALED[network.architecture].Generator(
            inputs=inputs,
            image_size=image_size,
            channels=channels,
            base_channels=network.base_channels,
            depth=depth,
        )
        return made
    return dcgan.Generator(
        inputs=inputs,
        image_size=image_size,
        channels=channels,
        base_channels=network.base_channels,
        kernel_size=network.kernel_size,
        depth=depth,
        dense_units=network.dense_units,
        generator_activation=network.generator_activation,
    )


def build_discriminator(network: Network, image_size: int, channels: int, classes: int = 0) -> nn.Module:
    """Return the untrained discriminator: images (N, C, H, W), one-hot labels or None → logits (N,).

    That of ``projected`` returns several an image, (N, places). Raises UserError without its features.
    """
    if network.architecture == "projected":
        judge = projected.Discriminator(image_size=image_size, classes=classes)
        judge.fill()
        return judge
    if network.architecture == "mlp":
        return mlp.Discriminator(
            image_size=image_size,
            channels=channels,
            hidden_units=network.hidden_units,
            hidden_layers=network.hidden_layers,
            mlp_activation=network.mlp_activation,
            maxout_pieces=network.maxout_pieces,
            dropout=network.dropout,
            classes=classes,
        )
    depth = dcgan.depth_for(image_size, network.depth)
    if network.architecture in WITH_SHORTCUTS:
        made: nn.Module = WITH_SHORTCUTS[network.architecture].Discriminator(
            image_size=image_size,
            channels=channels,
            base_channels=network.base_channels,
            depth=depth,
            classes=classes,
        )
        return made
    return dcgan.Discriminator(
        image_size=image_size,
        channels=channels,
        base_channels=network.base_channels,
        kernel_size=network.kernel_size,
        depth=depth,
        dense_units=network.dense_units,
        classes=classes,
    )


@torch.no_grad()
def initialise(module: nn.Module, seed: int, purpose: str) -> None:
    """Set initial weights in place: N(0, 0.02); for batch normalisation N(1, 0.02); biases 0.

    The second number is the standard deviation. Layers of residual networks get
    N(0, sqrt(2 / (fan_in + fan_out))) instead (Glorot 2010, equation 16, as Miyato 2018): their
    discriminator has no normalisation that would scale small weights up, nor has that of `projected`.
    `residual` has a rule of its own.
    """
    rng = seeds.generator(seed, purpose)
    if isinstance(module, residual.Generator | residual.Discriminator):
        residual.initialise(module, rng)
        return
    glorot = isinstance(module, resnet.Generator | resnet.Discriminator | projected.Discriminator)
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            fans = sum(layer.weight.shape[:2]) * math.prod(layer.weight.shape[2:])
            layer.weight.normal_(0.0, math.sqrt(2 / fans) if glorot else INITIAL_STD, generator=rng)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.weight.normal_(1.0, INITIAL_STD, generator=rng)
        else:
            continue
        if layer.bias is not None:
            layer.bias.zero_()


def normalise_spectrally(module: nn.Module, seed: int) -> None:
    """Divide each layer's weight by its largest singular value, in every forward pass.

    Spectral normalisation: Miyato 2018 (arXiv:1802.05957), algorithm 1.
    """
    torch.manual_seed(seeds.derive(seed, "spectral_norm"))  # for the first singular vectors
    for layer in list(module.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            parametrizations.spectral_norm(layer)


def draw_latents(
    network: Network, count: int, rng: torch.Generator, truncation: float | None = None
) -> torch.Tensor:
    """Return latents (count, latent_dim) float32 on the generator's device.

    ``normal``: N(0, 1), truncated at ±``truncation`` if that is given (Brock 2018, arXiv:1809.11096,
    section 3.1). ``uniform``: in [-1, 1), as Radford 2015 and Goodfellow 2014, or within
    ±``truncation`` if that is smaller.
    """
    shape = (count, network.latent_dim)
    if network.latent_distribution == "uniform":
        return (torch.rand(shape, generator=rng, device=rng.device) * 2 - 1) * min(truncation or 1, 1)
    if truncation is None:
        return torch.randn(shape, generator=rng, device=rng.device)
    empty = torch.empty(shape, device=rng.device)
    return nn.init.trunc_normal_(empty, 0.0, 1.0, -truncation, truncation, generator=rng)


def draw_labels(counts: Sequence[int], count: int, rng: torch.Generator) -> torch.Tensor:
    """Return int64 labels (count,), each class as common as its count among all ``counts``."""
    return torch.multinomial(torch.tensor(counts, dtype=torch.float64), count, True, generator=rng)


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return (N, classes) float32 of int64 labels (N,)."""
    return F.one_hot(labels, classes).float()


def labels_of(network: Network, inputs: torch.Tensor) -> np.ndarray | None:
    """Return the int64 labels (N,) in a generator's inputs, or None for a generator without classes."""
    hot = inputs[:, network.latent_dim :]
    return hot.argmax(1).cpu().numpy() if hot.shape[1] else None


def join(latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """Append one-hot ``labels`` (N, classes) to ``latents`` (N, latent_dim): a generator's inputs.

    Mirza & Osindero 2014 (arXiv:1411.1784), section 3.2, with labels multiplied by ``LABEL_LENGTH``.
    """
    return latents if labels is None else torch.cat([latents, LABEL_LENGTH * labels], 1)
