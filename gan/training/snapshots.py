"""The files of a snapshot: a generator, and a picture of what it makes of the fixed latents."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from gan import seeds
from gan.data import images
from gan.files import sha256_file
from gan.networks import build, model_file
from gan.params import Network

ROWS = 8  # of the picture


def inputs(
    network: Network,
    counts: Sequence[int] | None,
    seed: int,
    device: str,
    purpose: str,
    index: int,
    count: int,
    *,
    cycle: bool = False,
) -> torch.Tensor:
    """A generator's inputs (count, latent_dim + classes), for a purpose.

    Classes are as common as in ``counts`` or, to be shown, one after another.
    """
    rng = seeds.generator(seed, purpose, index)
    latents = build.draw_latents(network, count, rng)
    if counts is None:
        return latents.to(device)
    classes = len(counts)
    labels = torch.arange(count) % classes if cycle else build.draw_labels(counts, count, rng)
    return build.join(latents, build.one_hot(labels, classes)).to(device)


def write(
    folder: Path,
    step: int,
    model: nn.Module,
    config: Mapping[str, object],
    latents: torch.Tensor,
    columns: int,
) -> Path:
    """Write ``model`` and the samples of ``latents``, ``columns`` to a row; return the picture's path."""
    name = f"step-{step:09d}"
    path = folder / "snapshots" / f"{name}.safetensors"
    model_file.save(path, model.state_dict(), config)
    with torch.no_grad():
        samples = images.to_uint8(model(latents))
    picture = folder / "fixed_latents" / f"{name}.png"
    images.write_png(picture, images.grid(samples, columns), sha256_file(path))
    return picture
