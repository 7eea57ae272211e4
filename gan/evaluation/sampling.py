"""Images out of a generator: the same ones, to the bit, however many are asked for at a time.

A convolution or matrix product may round differently for another batch size or another row of the
batch, and what torch draws depends on how much is drawn. So images are drawn and computed `BLOCK` at a
time, image i in row i mod BLOCK, the last block filled up and cut off again.
"""

from collections.abc import Iterator

import torch
from torch import nn

from gan import images, seeds
from gan.networks.build import draw_labels, draw_latents, join, one_hot
from gan.networks.files import Published

BLOCK = 64
STEPS = 12  # frames from one latent to the next, in an animation


def sample_inputs(
    generator: Published,
    count: int,
    seed: int,
    purpose: str = "samples",
    truncation: float | None = None,
    only: int | None = None,
) -> torch.Tensor:
    """Return a generator's inputs (count, latent_dim + classes), drawn on the CPU.

    They are the same for every device, and the first of them are the same for every ``count``. Classes
    come as often as in the training set, or all are the class ``only``.
    """
    latents = _latents(generator, count, seed, purpose, truncation)
    return join(latents, _labels(generator, count, seed, purpose, only))


def _latents(
    generator: Published, count: int, seed: int, purpose: str, truncation: float | None = None
) -> torch.Tensor:
    """Draw latents (count, latent_dim)."""
    rngs = _generators(count, seed, purpose)
    return torch.cat([draw_latents(generator.network, BLOCK, rng, truncation) for rng in rngs])[:count]


def _labels(
    generator: Published, count: int, seed: int, purpose: str, only: int | None = None
) -> torch.Tensor | None:
    """Draw one-hot labels (count, classes), None for a generator that knows none."""
    counts = generator.class_counts
    if counts is None:
        return None
    rngs = _generators(count, seed, f"{purpose} labels")
    labels = torch.cat([draw_labels(counts, BLOCK, rng) for rng in rngs])[:count]
    return one_hot(labels if only is None else labels.fill_(only), len(counts))


def _generators(count: int, seed: int, purpose: str) -> Iterator[torch.Generator]:
    """Yield a random number generator for each block of ``count`` rows."""
    return (seeds.generator(seed, purpose, block) for block in range(-(-count // BLOCK)))


def generate(model: nn.Module, inputs: torch.Tensor, device: str) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) on the CPU for inputs (N, latent_dim + classes)."""
    return torch.cat(list(blocks(model, inputs, device)))


def blocks(model: nn.Module, inputs: torch.Tensor, device: str) -> Iterator[torch.Tensor]:
    """Yield what ``generate`` returns, at most ``BLOCK`` images at a time."""
    model = model.to(device)
    for part in inputs.split(BLOCK):
        full = torch.cat([part, part.new_zeros(BLOCK - len(part), part.shape[1])])
        with torch.no_grad():
            drawn = images.to_uint8(model(full.to(device)))
        yield torch.from_numpy(drawn[: len(part)])


def interpolations(
    generator: Published, rows: int, columns: int, seed: int, only: int | None = None
) -> torch.Tensor:
    """Return inputs (rows * columns, latent_dim + classes), a row between two random latents.

    Where there are classes, each row keeps to one.
    """
    start, end = _latents(generator, 2 * rows, seed, "interpolation").chunk(2)
    path = great_circle(start, end, torch.linspace(0, 1, columns))
    labels = _labels(generator, rows, seed, "interpolation", only)
    kept = None if labels is None else labels.repeat_interleave(columns, 0)
    return join(path.flatten(0, 1), kept)


def round_trip(
    generator: Published, frames: int, rows: int, seed: int, only: int | None = None
) -> torch.Tensor:
    """Return inputs (frames * rows, latent_dim + classes): ``rows`` closed paths, frame by frame.

    Each path goes through a latent every `STEPS` frames or so and ends where it began, so that an
    animation of it has no seam. Where there are classes, each path keeps to one, and they take turns.
    """
    stops = max(2, frames // STEPS)
    latents = _latents(generator, stops * rows, seed, "round trip").reshape(stops, rows, -1)
    places = torch.arange(frames) * stops / frames
    legs = places.long()
    path = [
        great_circle(latents[leg], latents[(leg + 1) % stops], place[None])[:, 0]
        for leg, place in zip(legs.tolist(), places - legs, strict=True)
    ]
    if generator.class_counts is None:
        return torch.cat(path)
    seen = [label for label, count in enumerate(generator.class_counts) if count] if only is None else [only]
    turns = torch.tensor([seen[row % len(seen)] for row in range(rows)])
    return join(torch.cat(path), one_hot(turns, len(generator.class_counts)).repeat(frames, 1))


def great_circle(start: torch.Tensor, end: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return points (N, P, D) between ``start`` and ``end`` (N, D), at ``places`` (P,) or (N, P) in [0, 1].

    On great circles, since N(0, 1) in many dimensions lives near a sphere (White 2016,
    arXiv:1609.04468).
    """
    angle = nn.functional.cosine_similarity(start, end)[:, None].clamp(-1, 1).acos().clamp(min=1e-4)
    left = (1 - places) * angle
    weights = [(share.sin() / angle.sin())[..., None] for share in (left, angle - left)]
    return weights[0] * start[:, None] + weights[1] * end[:, None]
