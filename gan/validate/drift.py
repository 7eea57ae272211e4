"""Drift from an earlier set: Jensen-Shannon divergence between histograms of fixed bins.

J. Lin, "Divergence measures based on the Shannon entropy" (1991), weights one half each: 0 bits where the
histograms are equal, 1 where they share no bin. Between two samples of one distribution it is not 0:
8 ln 2 / (1/n + 1/m) times it is nearly chi-squared with as many degrees of freedom as occupied bins less one.
The value that such samples exceed in one of a thousand comparisons is subtracted (``chance``).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BINS = 32
FEW = 8  # images of a bin, up to which the chi-squared law says too little
ALARM = 1e-3  # probability that chance alone exceeds what is taken off

Counts = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Axis:
    """Where the bins of a statistic lie: ``BINS`` of one width from ``low`` to ``high``.

    With ``log`` they lie on the binary logarithm of value + ``log``. What lies outside is in the outer bins.
    """

    low: float
    high: float
    log: float | None = None

    def position(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where values lie between the two ends, 0 to 1."""
        scaled: NDArray[Any] = values
        if self.log is not None:
            scaled = np.log2(np.maximum(values + self.log, 2.0**-60))
        return ((scaled - self.low) / (self.high - self.low)).clip(0, 1)

    def value(self, position: float) -> float:
        """Return the value at a position; the inverse of ``position``."""
        value = self.low + position * (self.high - self.low)
        return value if self.log is None else 2.0**value - self.log


AXES = {
    "mean": Axis(0, 255),
    "std": Axis(0, 127.5),
    "sharpness": Axis(0, 16, log=1.0),  # a Laplacian's variance is below 2**16 in most photos
    "entropy": Axis(0, 8),
    "width": Axis(0, 16, log=0.0),  # half an octave a bin
    "height": Axis(0, 16, log=0.0),
    "aspect": Axis(-4, 4, log=0.0),
}
CATEGORIES = ("mode", "label")
NAMES = {
    "mean": "brightness (mean of pixels)",
    "std": "contrast (std of pixels)",
    "sharpness": "sharpness",
    "entropy": "entropy of pixels",
    "width": "width",
    "height": "height",
    "aspect": "width over height",
    "mode": "pixel mode",
    "label": "class shares",
}


@dataclass(frozen=True)
class Drift:
    """Of one statistic, in bits: the divergence, what chance explains of it, the rest."""

    divergence: float
    chance: float

    @property
    def beyond(self) -> float:
        """The divergence that chance does not explain, 0 to 1."""
        return round(max(0.0, self.divergence - self.chance), 6)


def values(frame: pd.DataFrame, statistic: str) -> NDArray[np.float64]:
    """Return a numeric statistic of the images that have it."""
    if statistic == "aspect":
        height = _column(frame, "height")
        numbers = _column(frame, "width") / np.where(height > 0, height, np.nan)
    else:
        numbers = _column(frame, statistic)
    return numbers[~np.isnan(numbers)]


def _column(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return np.asarray(frame[name].astype("Float64").to_numpy(na_value=np.nan), np.float64)


def histogram(frame: pd.DataFrame, statistic: str) -> Counts:
    """Count images in the ``BINS`` bins of a numeric statistic: int64 (BINS,)."""
    positions = AXES[statistic].position(values(frame, statistic))
    return np.bincount(np.minimum((positions * BINS).astype(np.int64), BINS - 1), minlength=BINS)


def compare(frame: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Drift]:
    """Compare the images of two manifests in each statistic that both have, in the order they are shown."""
    drifts = {}
    for statistic in AXES:
        pair = histogram(frame, statistic), histogram(reference, statistic)
        if all(counts.sum() for counts in pair):
            drifts[statistic] = drift(*pair)
    for statistic in CATEGORIES:
        ours, theirs = frame[statistic].value_counts(), reference[statistic].value_counts()
        names = sorted({*ours.index, *theirs.index})
        if len(ours) and len(theirs):
            columns = [each.reindex(names, fill_value=0).to_numpy(dtype=np.int64) for each in (ours, theirs)]
            drifts[statistic] = drift(*columns)
    return drifts


def drift(ours: Counts, theirs: Counts) -> Drift:
    """Compare two histograms of the same bins, neither of them empty."""
    return Drift(round(divergence(ours, theirs), 6), round(chance(ours, theirs), 6))


def divergence(ours: Counts, theirs: Counts) -> float:
    """Return the Jensen-Shannon divergence of two histograms in bits, 0 to 1."""
    p, q = ours / ours.sum(), theirs / theirs.sum()
    middle = (p + q) / 2
    terms = [side[side > 0] * np.log2(side[side > 0] / middle[side > 0]) for side in (p, q)]
    return max(0.0, float(sum(term.sum() for term in terms)) / 2)


def chance(ours: Counts, theirs: Counts) -> float:
    """Return the bits that two samples of one distribution, so large, stay below but for ``ALARM``.

    The quantile of the chi-squared distribution is bounded as in Laurent and Massart (2000), lemma 1. Bins of
    few images add up to 2 ln 2 times as much as that law says (one image alone: exactly so, if both sets are
    of one size).
    """
    pooled = (ours + theirs)[(ours + theirs) > 0]
    freedom, tail = len(pooled) - 1, math.log(1 / ALARM)
    if not freedom:
        return 0.0
    mean = freedom + (2 * math.log(2) - 1) * int((pooled <= FEW).sum())
    quantile = mean + 2 * math.sqrt(freedom * tail) + 2 * tail
    return min(1.0, quantile / (8 * math.log(2)) * float(1 / ours.sum() + 1 / theirs.sum()))
