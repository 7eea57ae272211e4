"""Copies of training images among the samples, and near repeats among the samples themselves.

The distance of a sample to its nearest training image is divided by the distances between training images
there. Held-out images, which are no copies, show how small that ratio may be.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from gan.evaluation.nearest_neighbours import Nearest, Points, nearest

SIDE = 16  # pixels
SHOWN = 7  # nearest training images kept for pictures
DEVIATIONS = 3.0902  # standard deviations below the mean of a normal distribution: its 0.1 % quantile


@dataclass(frozen=True)
class Copies:
    """What was measured for N samples and H held-out images.

    ``nearest``: their nearest training images. ``ratios`` (N,) float64: the distance to the nearest one,
    over the scale of distances there. ``flagged`` (N,) bool: copies, with a ratio of ``threshold`` or less.
    ``floor``: the share of training images that would be flagged as copies of others. ``authentic`` (N,)
    bool: samples that are authentic; ``authentic_real`` (H,): the same for held-out images.
    """

    nearest: Nearest
    ratios: torch.Tensor
    threshold: float
    flagged: torch.Tensor
    floor: float
    authentic: torch.Tensor
    authentic_real: torch.Tensor


def memorised(train: torch.Tensor, held_out: torch.Tensor, drawn: torch.Tensor, nearest_k: int) -> Copies:
    """Find copies of ``train`` (T, d) among ``drawn`` (N, d), calibrated by ``held_out`` (H, d).

    The ratio is the distance to the nearest training image over that image's mean distance to its own
    ``nearest_k`` nearest ones. The threshold is ``low_quantile`` of the held-out images' ratios: a few of
    them that do repeat training images change it little, and a few hundred are enough. T must exceed
    ``nearest_k`` + 1.

    An image is authentic if it is farther from its nearest training image than that one is from its own
    nearest (Alaa et al. 2022, arXiv:2102.08921, section 4.3).
    """
    centre = train.mean(0)
    train_points, held_out_points, sample_points = (
        Points.of(features, centre) for features in (train, held_out, drawn)
    )
    train_neighbours = nearest(train_points, train_points, nearest_k + 1, same=True)
    scale = train_neighbours.distances[:, :nearest_k].mean(1)
    sample_neighbours, held_out_neighbours = (
        nearest(sample_points, train_points, SHOWN),
        nearest(held_out_points, train_points, 1),
    )
    ratios, threshold = _ratios(sample_neighbours, scale), low_quantile(_ratios(held_out_neighbours, scale))
    left_out = _over(train_neighbours.distances[:, 0], _scale_without(train_neighbours, nearest_k))
    return Copies(
        sample_neighbours,
        ratios,
        threshold,
        flagged=ratios <= threshold,
        floor=(left_out <= threshold).double().mean().item(),
        authentic=_authentic(sample_neighbours, train_neighbours),
        authentic_real=_authentic(held_out_neighbours, train_neighbours),
    )


def _authentic(neighbours: Nearest, train_neighbours: Nearest) -> torch.Tensor:
    return neighbours.distances[:, 0] > train_neighbours.distances[neighbours.rows[:, 0], 0]


def repeated(real: torch.Tensor, drawn: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return which of ``drawn`` (N, d) nearly repeat another, (N,) bool, and the share of ``real`` that do.

    A sample does if another is nearer than ``low_quantile`` of the nearest distances among as many real
    images (N, d).
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

    Return 0 if the 16 % quantile is 0: then only exact repeats are at or below it.
    """
    if values.quantile(0.16) <= 0:
        return 0.0
    logs = values[values > 0].log()
    middle, low = logs.quantile(0.5), logs.quantile(0.1587)
    return float((middle - DEVIATIONS * (middle - low)).exp())


def pixels(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return ``rows`` of uint8 images (N, C, H, W), averaged down to 16×16, as (rows, C * 16²) float32.

    A copy is recognised at this size. Full resolution would need 4 times the work at 32×32 pixels.
    """
    batches = (images[some].float() for some in rows.split(500))
    return torch.cat([F.adaptive_avg_pool2d(batch, SIDE).flatten(1) for batch in batches])


def _ratios(neighbours: Nearest, scale: torch.Tensor) -> torch.Tensor:
    return _over(neighbours.distances[:, 0], scale[neighbours.rows[:, 0]])


def _over(distances: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Divide; 0 stays 0, even if the scale is 0 because an image occurs many times."""
    return torch.where(distances == 0, 0.0, distances / scales)


def _scale_without(train_neighbours: Nearest, nearest_k: int) -> torch.Tensor:
    """Return (T,): for each training image, the scale of its nearest neighbour, without the image itself."""
    neighbour = train_neighbours.rows[:, 0]
    others = train_neighbours.distances[neighbour]
    itself = train_neighbours.rows[neighbour] == torch.arange(len(neighbour))[:, None]
    itself[~itself.any(1), -1] = True  # if it is not among them, drop the last
    return others[~itself].reshape(len(others), -1)[:, :nearest_k].mean(1)
