"""A fixed random network: cheap features, the same on every data set, for a look at a training as it goes.

Convolutions with random weights keep enough of an image to tell sets of images apart (Naeem 2020,
arXiv:2002.09797, section 5, uses such an embedding where no pretrained one fits). The figures say where a
training is heading. They are not those of the evaluation, and no result depends on them.
"""

import torch
import torch.nn.functional as F

from gan import seeds
from gan.data.images import to_float

WIDTHS = (32, 64, 128)
LEAST = 1e-3  # of a feature's deviation: a feature that never varies says nothing


class RandomFeatures:
    """Images uint8 (N, C, H, W) → features float32 (N, 2 * sum(`WIDTHS`)), on the CPU."""

    @torch.no_grad()
    def __init__(self, channels: int) -> None:
        rng = seeds.generator(0, "random features")
        inputs = (channels, *WIDTHS[:-1])
        self.weights = [
            # He 2015, equation 10
            torch.randn(after, before, 3, 3, generator=rng) * (2 / (9 * before)) ** 0.5
            for before, after in zip(inputs, WIDTHS, strict=True)
        ]

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the mean and the deviation over the image of every channel of every layer."""
        maps, seen = to_float(images), []
        for weight in self.weights:
            maps = F.conv2d(maps, weight, stride=2, padding=1).relu()
            flat = maps.flatten(2)
            seen += [flat.mean(2), flat.std(2)]
        return torch.cat(seen, 1)


@torch.no_grad()
def compare(real: torch.Tensor, generated: torch.Tensor) -> dict[str, float]:
    """Compare features of as many real and generated images, float (N, d) each.

    ``distance``: of the means and deviations of the features, in units of the real ones' deviation; 0 is
    alike. ``diversity``: the mean distance between two generated images, by that between two real ones.
    ``repetition``: the mean distance from a generated image to the nearest other one, by that of real ones;
    near 0 where the same few images come again.
    """
    mean, deviation = real.mean(0), real.std(0).clamp(min=LEAST)
    real, generated = (real - mean) / deviation, (generated - mean) / deviation
    means = (generated.mean(0) - real.mean(0)).square() + (generated.std(0) - real.std(0)).square()
    pairs = [torch.cdist(features, features) for features in (generated, real)]
    among = [float(p.sum() / (len(p) * (len(p) - 1))) for p in pairs]
    nearest = [float(p.fill_diagonal_(torch.inf).amin(1).mean()) for p in pairs]
    return {
        "distance": float(means.mean().sqrt()),
        "diversity": among[0] / max(among[1], 1e-9),
        "repetition": nearest[0] / max(nearest[1], 1e-9),
    }
