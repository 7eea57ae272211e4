"""Copies: of training images among the samples, and of samples among one another.

A sample is held against its nearest training image, on the scale of how close training images lie around
that one. How close is too close is taken from images that were held out, which are certainly no copies.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from gan.evaluation.distances import Nearest, Points, nearest

SIDE = 16  # pixels
SHOWN = 7  # nearest training images that are kept for pictures
# A held-out image is closer with a probability of 0.1 %, were the logarithms normal.
DEVIATIONS = 3.0902


@dataclass(frozen=True)
class Copies:
    """Of N samples: nearest training images; distance to the first as a ratio (N,) float64 of how close
    training images lie around it; which are copies (N,) bool, and below which ratio (threshold). Floor:
    the share of training images that would be called copies of the others. Which samples are authentic
    (N,) bool, and which held-out images (H,).
    """

    nearest: Nearest
    ratios: torch.Tensor
    threshold: float
    flagged: torch.Tensor
    floor: float
    authentic: torch.Tensor
    authentic_real: torch.Tensor


def memorised(train: torch.Tensor, held_out: torch.Tensor, drawn: torch.Tensor, nearest_k: int) -> Copies:
    """Find the copies among ``drawn`` (N, d) of ``train`` (T, d), as ``held_out`` (H, d) calibrates it.

    The ratio is the distance to the nearest training image over that image's mean distance to its own
    ``nearest_k`` nearest ones. The threshold: where a normal distribution that has the median and the 16 %
    quantile of the held-out images' log ratios has its 0.1 % quantile; so a few held-out images that do
    repeat training images move it little, and a few hundred are enough. T must exceed ``nearest_k`` + 1.

    Authentic is what is further from its nearest training image than that one is from its own nearest
    (Alaa et al. 2022, arXiv:2102.08921, section 4.3).
    """
    centre = train.mean(0)
    known, real, fake = (Points.of(part, centre) for part in (train, held_out, drawn))
    own = nearest(known, known, nearest_k + 1, same=True)
    scale = own.distances[:, :nearest_k].mean(1)
    found, theirs = nearest(fake, known, SHOWN), nearest(real, known, 1)
    ratios, threshold = _ratios(found, scale), low_quantile(_ratios(theirs, scale))
    left_out = _over(own.distances[:, 0], _scale_without(own, nearest_k))
    return Copies(
        found,
        ratios,
        threshold,
        flagged=ratios <= threshold,
        floor=(left_out <= threshold).double().mean().item(),
        authentic=_authentic(found, own),
        authentic_real=_authentic(theirs, own),
    )


def _authentic(found: Nearest, own: Nearest) -> torch.Tensor:
    return found.distances[:, 0] > own.distances[found.rows[:, 0], 0]


def repeated(real: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return which of ``drawn`` (N, d) nearly repeat another, (N,) bool, and the share of ``real`` that do.

    Nearer to another sample than ``low_quantile`` of the distances of as many real images (N, d) to
    their nearest others.
    """
    centre = real.mean(0)
    theirs, ours = (
        nearest(points, points, 1, same=True).distances[:, 0]
        for points in (Points.of(real, centre), Points.of(drawn, centre))
    )
    threshold = low_quantile(theirs)
    return ours <= threshold, (theirs <= threshold).double().mean().item()


def low_quantile(values: torch.Tensor) -> float:
    """Return the 0.1 % quantile of the log-normal distribution with ``values``' median and 16 % quantile.

    Zero where those are: then only what has no distance at all is below.
    """
    if values.quantile(0.16) <= 0:
        return 0.0
    logs = values[values > 0].log()
    middle, low = logs.quantile(0.5), logs.quantile(0.1587)
    return float((middle - DEVIATIONS * (middle - low)).exp())


def pixels(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return ``rows`` of uint8 images (N, C, H, W), averaged down to 16×16, as (rows, C * 16²) float32.

    What is finer tells no copy from another image, and costs much.
    """
    parts = (images[some].float() for some in rows.split(500))
    return torch.cat([F.adaptive_avg_pool2d(part, SIDE).flatten(1) for part in parts])


def _ratios(found: Nearest, scale: torch.Tensor) -> torch.Tensor:
    return _over(found.distances[:, 0], scale[found.rows[:, 0]])


def _over(distances: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Divide; no distance at all is zero on any scale, also on that of an image that is there many times."""
    return torch.where(distances == 0, 0.0, distances / scales)


def _scale_without(own: Nearest, nearest_k: int) -> torch.Tensor:
    """Return, for each training image, the scale (T,) of its nearest other one were it not there itself."""
    neighbour = own.rows[:, 0]
    others = own.distances[neighbour]
    itself = own.rows[neighbour] == torch.arange(len(neighbour))[:, None]
    itself[~itself.any(1), -1] = True  # not among them: the last is one too many
    return others[~itself].reshape(len(others), -1)[:, :nearest_k].mean(1)
