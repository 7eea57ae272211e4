"""How evenly images change along a path between two latents."""

import torch

from gan import seeds
from gan.evaluation.sampling import great_circle
from gan.networks.build import draw_labels, draw_latents, join, one_hot
from gan.networks.extractor import Extractor
from gan.networks.files import Published

BATCH = 250
STEP = 1e-3  # of the way; Karras 2019: 1e-4, where float32 leaves fewer digits of the difference


@torch.no_grad()
def path_lengths(
    generator: Published, extractor: Extractor, scale: torch.Tensor, count: int, seed: int, device: str
) -> torch.Tensor:
    """Return ``count`` perceptual path lengths (count,) float64, 0 and more.

    ``E[d(G(slerp(a, b; t)), G(slerp(a, b; t + ε))) / ε²]`` (Karras 2019, arXiv:1812.04948, section 4.1,
    equation 2), d the squared distance in the extractor's semantic features, each over its ``scale``
    (128,): their standard deviations in real images. Images are not rounded to 8 bits in between. A class,
    where there are classes, stays the same on the way.
    """
    rng = seeds.generator(seed, "path")
    start, end = draw_latents(generator.network, 2 * count, rng).double().chunk(2)
    where = torch.rand(count, 1, generator=rng, dtype=torch.float64)
    labels = None
    if generator.class_counts is not None:
        labels = one_hot(draw_labels(generator.class_counts, count, rng), len(generator.class_counts))
    inputs = [join(great_circle(start, end, t)[:, 0].float(), labels) for t in (where, where + STEP)]
    model = generator.model.to(device)
    found = []
    for parts in zip(*(both.split(BATCH) for both in inputs), strict=True):
        images = [(model(part.to(device)).float().clamp(-1, 1) + 1) * 127.5 for part in parts]
        before, after = (extractor(image)[1].cpu().double() for image in images)
        found.append(((after - before) / scale.double()).square().sum(1) / STEP**2)
    return torch.cat(found)


def trimmed(lengths: torch.Tensor) -> tuple[float, float]:
    """Return the mean without the lowest and the highest 1 %, as Karras 2019 takes it, and its standard
    deviation, from the winsorised variance (Tukey & McLaughlin 1963).
    """
    ordered = lengths.sort().values
    cut = len(ordered) // 100
    kept = ordered[cut : len(ordered) - cut]
    winsorised = ordered.clamp(kept[0], kept[-1])
    share = len(kept) / len(ordered)
    return float(kept.mean()), float(winsorised.std() / (share * len(ordered) ** 0.5))
