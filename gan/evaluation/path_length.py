"""Perceptual path length: how evenly images change along a path between two latents."""

import torch

from gan import seeds
from gan.evaluation.sampling import great_circle
from gan.extractor.classifier import Extractor
from gan.networks.build import draw_labels, draw_latents, join, one_hot
from gan.networks.model_file import Published

BATCH = 250
STEP = 1e-3  # of the path; with 1e-4 (Karras 2019) float32 keeps fewer digits of the difference


@torch.no_grad()
def path_lengths(
    generator: Published, extractor: Extractor, scale: torch.Tensor, count: int, seed: int, device: str
) -> torch.Tensor:
    """Return perceptual path lengths (count,) float64, 0 or more.

    ``E[d(G(slerp(a, b; t)), G(slerp(a, b; t + ε))) / ε²]`` (Karras 2019, arXiv:1812.04948, section 4.1,
    equation 2). d is the squared distance in the extractor's semantic features, each divided by its
    ``scale`` (128,), the standard deviation in real images. Images are not rounded to 8 bits. The class of a
    path, if there are classes, stays the same.
    """
    rng = seeds.generator(seed, "path")
    start, end = draw_latents(generator.network, 2 * count, rng).double().chunk(2)
    where = torch.rand(count, 1, generator=rng, dtype=torch.float64)
    labels = None
    if generator.class_counts is not None:
        labels = one_hot(draw_labels(generator.class_counts, count, rng), len(generator.class_counts))
    inputs = [join(great_circle(start, end, t)[:, 0].float(), labels) for t in (where, where + STEP)]
    model = generator.model.to(device)
    lengths = []
    for batches in zip(*(both.split(BATCH) for both in inputs), strict=True):
        images = [(model(batch.to(device)).float().clamp(-1, 1) + 1) * 127.5 for batch in batches]
        before, after = (extractor(image)[1].cpu().double() for image in images)
        lengths.append(((after - before) / scale.double()).square().sum(1) / STEP**2)
    return torch.cat(lengths)


def trimmed(lengths: torch.Tensor) -> tuple[float, float]:
    """Return the mean without the lowest and highest 1 % (Karras 2019), and its standard deviation.

    The standard deviation comes from the winsorised variance (Tukey & McLaughlin 1963).
    """
    ordered = lengths.sort().values
    cut = len(ordered) // 100
    central = ordered[cut : len(ordered) - cut]
    winsorised = ordered.clamp(central[0], central[-1])
    share = len(central) / len(ordered)
    return float(central.mean()), float(winsorised.std() / (share * len(ordered) ** 0.5))
