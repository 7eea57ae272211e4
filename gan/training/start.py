"""What a training starts from: fresh weights, or those of an earlier model."""

import copy
from pathlib import Path

import torch
from torch import nn

from gan import files as io
from gan.errors import UserError
from gan.networks import build, files
from gan.params import Network, Train

Models = tuple[nn.Module, nn.Module, nn.Module]
PARTS = ("generator", "discriminator", "generator_ema")


def fresh_models(network: Network, train: Train, image_size: int, channels: int, classes: int) -> Models:
    """Return generator, discriminator and the generator's average, initialised, on the CPU."""
    shape = image_size, channels, classes
    generator = build.build_generator(network, *shape)
    discriminator = build.build_discriminator(network, *shape)
    build.initialise(generator, train.seed, "generator")
    build.initialise(discriminator, train.seed, "discriminator")
    if network.spectral_norm:
        build.normalise_spectrally(discriminator, train.seed)
    models = generator, discriminator, copy.deepcopy(generator).requires_grad_(False)
    if train.init_from is not None:
        _load_earlier(Path(train.init_from), models)
    return models


def _load_earlier(path: Path, models: Models) -> None:
    """Put an earlier model's weights in: all of models/final.safetensors, or a published generator."""
    if not path.is_file():
        raise UserError(
            f"params.yaml: train.init_from: {path}: no such file; name a copy of models/final.safetensors or "
            "models/generator.safetensors (DVC empties models/ itself before a run)"
        )
    tensors, _ = files.load(path)
    whole = any(name.startswith("discriminator.") for name in tensors)
    if not whole:  # a generator alone: the average starts there too, the discriminator afresh
        tensors = {f"{part}.{name}": t for part in PARTS[::2] for name, t in tensors.items()}
    for part, model in zip(PARTS, models, strict=True):
        own = {k[len(part) + 1 :]: t for k, t in tensors.items() if k.startswith(f"{part}.")}
        if own or whole:
            _fill(model, own, f"params.yaml: train.init_from: {path}: its {part}")


def _fill(model: nn.Module, tensors: dict[str, torch.Tensor], what: str) -> None:
    wanted = model.state_dict()
    if missing := sorted(wanted.keys() ^ tensors.keys()):
        raise UserError(f"{what} is another network ({missing[0]} is not in both); use its network params")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{list(tensor.shape)}, here {list(wanted[name].shape)}"
            raise UserError(
                f"{what} is another network ({name} is {shapes}); use its params: network, data.image_size"
            )
    model.load_state_dict(tensors)


def origin(train: Train) -> str | None:
    """Return the SHA-256 of the file that training starts from, None for fresh weights."""
    return None if train.init_from is None else io.sha256_file(Path(train.init_from))
