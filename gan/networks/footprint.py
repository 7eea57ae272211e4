"""The memory that a training needs at least, counted before any is taken: on torch's meta device."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gan.errors import UserError
from gan.networks import build
from gan.params import Network
from gan.runtime import memory

FLOAT = 4  # bytes
STATES = 4  # of each weight: itself, its gradient, Adam's two moments


def of_gan(
    network: Network, image_size: int, channels: int, classes: int, batch: int, activation_bytes: int = FLOAT
) -> int:
    """Return bytes for a step of ``batch`` images: weights, optimisers, activations kept for gradients.

    The batch is D's, once real and once generated, while G's activations wait for their gradient. Penalties
    and the library's own buffers come on top.
    """
    with torch.device("meta"):
        generator = build.build_generator(network, image_size, channels, classes)
        discriminator = build.build_discriminator(network, image_size, channels, classes)
        inputs = torch.empty(batch, network.latent_dim + classes)
        labels = torch.empty(batch, classes) if classes else None
        images = torch.empty(batch, channels, image_size, image_size)
        drawn = _activations(generator, lambda: generator(inputs))
        judged = _activations(discriminator, lambda: discriminator(images, labels))
    weights = STATES * (_size(generator) + _size(discriminator)) + _size(generator)  # and the average
    return FLOAT * weights + activation_bytes * (drawn + 2 * judged)


def of_classifier(make: Callable[[], nn.Module], image_size: int, channels: int, batch: int) -> int:
    """Return the same for one network of images, which ``make`` makes."""
    with torch.device("meta"):
        model = make()
        images = torch.empty(batch, channels, image_size, image_size)
        return FLOAT * (STATES * _size(model) + _activations(model, lambda: model(images)))


def refuse_what_cannot_fit(key: str, batch: int, least: Callable[[int], int], free: int | None) -> None:
    """Raise UserError where a step of ``batch`` images needs more than the ``free`` bytes.

    ``least``: the bytes for a batch, at least. ``key``: the param that holds the batch's size.
    """
    needed = least(batch)
    if free is None or needed <= free:
        return
    smaller = [batch >> halvings for halvings in range(1, batch.bit_length() - 1)]  # down to 2
    fitting = next((size for size in smaller if least(size) <= free), None)
    remedy = f"lower it to {fitting}" if fitting else "lower network.base_channels or data.image_size"
    raise UserError(
        f"params.yaml: {key}: {batch}: a step needs {memory.shown(needed)} of memory or more, and "
        f"{memory.shown(free)} are free; {remedy}"
    )


def _size(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def _activations(model: nn.Module, forward: Callable[[], object]) -> int:
    """Return the elements that the layers without parts put out; what is changed in place counts once."""
    count = 0

    def add(_: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor | list[torch.Tensor]) -> None:
        nonlocal count
        for tensor in output if isinstance(output, list) else [output]:
            count += 0 if tensor is inputs[0] else tensor.numel()

    hooks = [
        layer.register_forward_hook(add) for layer in model.modules() if next(layer.children(), None) is None
    ]
    forward()
    for hook in hooks:
        hook.remove()
    return count
