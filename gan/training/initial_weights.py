"""Initial weights: new ones, or those of an earlier model; and checks of params against the data."""

import copy
from pathlib import Path

import torch
from torch import nn

from gan import files as io
from gan import paths
from gan.errors import UserError
from gan.networks import build, model_file
from gan.params import Network, Train
from gan.training.distributed import World
from gan.training.feed import Data

Models = tuple[nn.Module, nn.Module, nn.Module]
PARTS = ("generator", "discriminator", "generator_ema")
CLASS_IMAGES = 10  # a class has so many on average, or `network.conditional: auto` leaves classes alone


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
        _load_earlier(io.users_path(train.init_from), models)
    return models


def _load_earlier(path: Path, models: Models) -> None:
    """Load the weights of an earlier model: models/final.safetensors, or a published generator."""
    if not path.is_file():
        raise UserError(
            f"params.yaml: train.init_from: {path}: no such file; name a copy of {paths.FINAL} or "
            f"{paths.GENERATOR} (DVC empties models/ itself before a run)"
        )
    tensors, _ = model_file.load(path)
    whole = any(name.startswith("discriminator.") for name in tensors)
    if not whole:  # a generator alone: the average starts there too, the discriminator afresh
        tensors = {f"{component}.{name}": t for component in PARTS[::2] for name, t in tensors.items()}
    for component, model in zip(PARTS, models, strict=True):
        weights = {k[len(component) + 1 :]: t for k, t in tensors.items() if k.startswith(f"{component}.")}
        if weights or whole:
            _fill(model, weights, f"params.yaml: train.init_from: {path}: its {component}")


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
    return None if train.init_from is None else io.sha256_file(io.users_path(train.init_from))


def by_class(network: Network, data: Data) -> bool:
    """Say whether to generate by class; `auto` wants two or more, large enough to be learnt."""
    if network.conditional == "auto":
        return data.labels is not None and 2 <= data.classes <= len(data.images) // CLASS_IMAGES
    return network.conditional


def check(network: Network, train: Train, data: Data, world: World) -> None:
    """Raise UserError for params that do not fit the data."""
    count, name = len(data.images), "params.yaml: train.batch_size"
    if count < train.per_step:
        times = f" times train.d_steps {train.d_steps}" if train.d_steps > 1 else ""
        raise UserError(
            f"{name}: {train.batch_size}{times}: larger than the training half ({count} images); "
            f"lower it to at most {count // train.d_steps}"
        )
    if not train.divides_among(world.size):
        raise UserError(
            f"{name}: {train.batch_size}: each of {world.size} processes needs the same share, 2 or more"
        )
    if world.size > 1 and train.batch_size % (world.size * network.group):
        raise UserError(
            f"{name}: {train.batch_size}: each of {world.size} processes needs a multiple of {network.group} "
            f"images, which the discriminator of {network.architecture} compares; change it"
        )
    if network.conditional is True and data.labels is None:
        raise UserError(
            "params.yaml: network.conditional: True: these images have no classes; set it to auto, or put "
            "the images of each class in a folder of its own"
        )
