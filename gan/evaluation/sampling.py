"""Images from a generator: the same bits for any number of images and any batch size.

A convolution or matrix product may round differently for another batch size or another row of the batch, and
torch's random numbers depend on how many are drawn. So images are drawn and computed in blocks of `BLOCK`,
image i in row i mod BLOCK. The last block is padded, and the padding is cut off.
"""

from collections.abc import Iterator

import torch
from torch import nn

from gan import seeds
from gan.data import images
from gan.networks.build import draw_labels, draw_latents, join, one_hot
from gan.networks.model_file import Published

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

    They are the same on every device, and the first ones are the same for every ``count``. Classes are as
    frequent as in the training set; with ``only``, all are that class.
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
    """Draw one-hot labels (count, classes), or None for a generator without classes."""
    counts = generator.class_counts
    if counts is None:
        return None
    rngs = _generators(count, seed, f"{purpose} labels")
    labels = torch.cat([draw_labels(counts, BLOCK, rng) for rng in rngs])[:count]
    return one_hot(labels if only is None else labels.fill_(only), len(counts))


def _generators(count: int, seed: int, purpose: str) -> Iterator[torch.Generator]:
    """Yield a random number generator for each block."""
    return (seeds.generator(seed, purpose, block) for block in range(-(-count // BLOCK)))


def generate(model: nn.Module, inputs: torch.Tensor, device: str) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) on the CPU for inputs (N, latent_dim + classes)."""
    return torch.cat(list(blocks(model, inputs, device)))


def blocks(model: nn.Module, inputs: torch.Tensor, device: str) -> Iterator[torch.Tensor]:
    """Yield the images of ``generate``, at most ``BLOCK`` at a time."""
    model = model.to(device)
    for batch in inputs.split(BLOCK):
        full = torch.cat([batch, batch.new_zeros(BLOCK - len(batch), batch.shape[1])])
        with torch.no_grad():
            drawn = images.to_uint8(model(full.to(device)))
        yield torch.from_numpy(drawn[: len(batch)])


def interpolations(
    generator: Published, rows: int, columns: int, seed: int, only: int | None = None
) -> torch.Tensor:
    """Return inputs (rows * columns, latent_dim + classes): each row goes from one random latent to another.

    If there are classes, each row has one class.
    """
    start, end = _latents(generator, 2 * rows, seed, "interpolation").chunk(2)
    path = great_circle(start, end, torch.linspace(0, 1, columns))
    labels = _labels(generator, rows, seed, "interpolation", only)
    repeated = None if labels is None else labels.repeat_interleave(columns, 0)
    return join(path.flatten(0, 1), repeated)


def round_trip(
    generator: Published, frames: int, rows: int, seed: int, only: int | None = None
) -> torch.Tensor:
    """Return inputs (frames * rows, latent_dim + classes): ``rows`` closed paths, frame by frame.

    Each path passes a latent about every `STEPS` frames and ends where it began, so an animation has no
    seam. If there are classes, each path has one class, and the paths go through the classes in turn.
    """
    stops = max(2, frames // STEPS)
    latents = _latents(generator, stops * rows, seed, "round trip").reshape(stops, rows, -1)
    positions = torch.arange(frames) * stops / frames
    legs = positions.long()
    path = [
        great_circle(latents[leg], latents[(leg + 1) % stops], position[None])[:, 0]
        for leg, position in zip(legs.tolist(), positions - legs, strict=True)
    ]
    if generator.class_counts is None:
        return torch.cat(path)
    seen = [label for label, count in enumerate(generator.class_counts) if count] if only is None else [only]
    turns = torch.tensor([seen[row % len(seen)] for row in range(rows)])
    return join(torch.cat(path), one_hot(turns, len(generator.class_counts)).repeat(frames, 1))


def great_circle(start: torch.Tensor, end: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Return points (N, P, D) from ``start`` to ``end`` (N, D), at ``positions`` (P,) or (N, P) in [0, 1].

    They are on great circles, because samples of N(0, 1) in many dimensions are close to a sphere (White
    2016, arXiv:1609.04468).
    """
    angle = nn.functional.cosine_similarity(start, end)[:, None].clamp(-1, 1).acos().clamp(min=1e-4)
    left = (1 - positions) * angle
    weights = [(share.sin() / angle.sin())[..., None] for share in (left, angle - left)]
    return weights[0] * start[:, None] + weights[1] * end[:, None]
