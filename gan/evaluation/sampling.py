"""Images out of a generator: the same ones whatever the batch size."""

import torch
from torch import nn

from gan import images, seeds
from gan.networks.build import draw_labels, draw_latents, join, one_hot
from gan.networks.files import Published

BATCH = 500


def sample_inputs(
    generator: Published, count: int, seed: int, purpose: str = "samples", truncation: float | None = None
) -> torch.Tensor:
    """Return a generator's inputs (count, latent_dim + classes), drawn on the CPU.

    They are the same for every device and batch. Classes come as often as in the training set.
    """
    latents = draw_latents(generator.network, count, seeds.generator(seed, purpose), truncation)
    return join(latents, _labels(generator, count, seed, purpose))


def _labels(generator: Published, count: int, seed: int, purpose: str) -> torch.Tensor | None:
    """Draw one-hot labels (count, classes), None for a generator that knows none."""
    if generator.class_counts is None:
        return None
    labels = draw_labels(generator.class_counts, count, seeds.generator(seed, f"{purpose} labels"))
    return one_hot(labels, len(generator.class_counts))


@torch.no_grad()
def generate(model: nn.Module, inputs: torch.Tensor, device: str) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) on the CPU for inputs (N, latent_dim + classes)."""
    model = model.to(device)
    parts = [images.to_uint8(model(part.to(device))) for part in inputs.split(BATCH)]
    return torch.cat([torch.from_numpy(part) for part in parts])


def interpolations(generator: Published, rows: int, columns: int, seed: int) -> torch.Tensor:
    """Return inputs (rows * columns, latent_dim + classes), a row between two random latents.

    On great circles, since N(0, 1) in many dimensions lives near a sphere (White 2016,
    arXiv:1609.04468). Where there are classes, each row keeps to one.
    """
    rng = seeds.generator(seed, "interpolation")
    start, end = draw_latents(generator.network, 2 * rows, rng).chunk(2)
    cosine = nn.functional.cosine_similarity(start, end)[:, None].clamp(-1, 1)
    angle = cosine.acos().clamp(min=1e-4)
    points = [(1 - t) * angle for t in torch.linspace(0, 1, columns)]
    path = [(p.sin() * start + (angle - p).sin() * end) / angle.sin() for p in points]
    labels = _labels(generator, rows, seed, "interpolation")
    kept = None if labels is None else labels.repeat_interleave(columns, 0)
    return join(torch.stack(path, 1).flatten(0, 1), kept)
