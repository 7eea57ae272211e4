"""Metrics as pure functions on feature arrays: (N, d) float tensors in, numbers out.

In features of the project's own extractor these are Fréchet distances, not FIDs. Compare them only with
distances from the same extractor. All sums are in float64. Distances between images are in
precision_recall.py and copies.py, kernels in kernel_distance.py.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from gan.evaluation.intervals import deal, spread, without

FRACTIONS = 4  # down to quarters of the rows, in `frechet_infinity`
ROWS_A_DIRECTION = 4  # rows of the smallest subset, for each direction in which features vary
WIDE = 512  # more features and more rows than this: an eigenproblem takes seconds


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and centred rows (N, d) of features, float64, with the unbiased covariance made of them."""

    mean: torch.Tensor
    centred: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor) -> "Moments":
        """Return those of features (N, d), N at least 2."""
        features = features.double()
        mean = features.mean(0)
        return cls(mean, features - mean)

    @property
    def few(self) -> bool:
        """Whether there are fewer rows than features: then the covariance (d, d) is better not computed."""
        return self.centred.shape[0] < self.centred.shape[1]

    @cached_property
    def covariance(self) -> torch.Tensor:
        """The unbiased covariance (d, d)."""
        covariance: torch.Tensor = self.centred.T @ self.centred / (len(self.centred) - 1)
        return covariance

    def trace(self) -> torch.Tensor:
        """Return the covariance's trace, the sum of all variances."""
        if self.few:
            return self.centred.square().sum() / (len(self.centred) - 1)
        return self.covariance.trace()

    def factor(self) -> torch.Tensor:
        """Return F with F.T @ F the covariance: of a few rows (N, d), else its symmetric root (d, d)."""
        if self.few:
            return self.centred / math.sqrt(len(self.centred) - 1)
        values, vectors = torch.linalg.eigh(self.covariance)
        root: torch.Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        return root


def frechet_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return ``|m_a - m_b|² + tr(S_a + S_b - 2 (S_a S_b)^½)`` (Heusel et al. 2017, arXiv:1706.08500).

    Features are (N, d), N at least 2 each. The trace of the square root is the sum of the singular values
    of F_a F_b.T, where S = F.T F, so it is never complex.
    """
    first = Moments.of(a)
    return _between(first, first.factor(), Moments.of(b))


def _between(a: Moments, factor_a: torch.Tensor, b: Moments) -> float:
    if b.few:
        cross = torch.linalg.svdvals(factor_a @ b.factor().T).sum()
    else:  # without b's root, which is another eigenproblem
        squares = torch.linalg.eigvalsh(factor_a @ b.covariance @ factor_a.T)
        cross = squares.clamp(min=0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.trace() + b.trace() - 2 * cross
    return max(float(distance), 0.0)


def frechet_distance_sd(a: torch.Tensor, b: torch.Tensor, rng: torch.Generator) -> float:
    """Return the standard deviation of the Fréchet distance by the delete-group jackknife.

    Each set in turn is computed without one of its groups of rows (20 at most); N at least 3.
    """

    def variance(varied: torch.Tensor, other: Moments, factor: torch.Tensor) -> torch.Tensor:
        subsets = without(deal(len(varied), rng))
        distances = [_between(other, factor, Moments.of(varied[rows])) for rows in subsets]
        return spread(torch.tensor(distances)).square()

    first, second = Moments.of(a), Moments.of(b)
    return float((variance(a, second, second.factor()) + variance(b, first, first.factor())).sqrt())


def frechet_infinity(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the limit of the Fréchet distance for infinitely many rows; by chance it may be negative.

    Its bias is linear in 1/N (Chong & Forsyth 2020, arXiv:1911.07023, section 3). A line is fitted to the
    distances of all rows and of disjoint halves, thirds and quarters of both sets, and evaluated at
    1/N = 0. The paper divides only the generated set, which leaves the bias of the real set. Rows must be
    in random order.
    """
    distances = []
    for divisor in range(1, FRACTIONS + 1):
        pairs = zip(a.tensor_split(divisor), b.tensor_split(divisor), strict=True)
        distances.append(sum(frechet_distance(*pair) for pair in pairs) / divisor)
    inverse = torch.arange(1.0, FRACTIONS + 1, dtype=torch.float64)  # times 1/N of all rows
    line = torch.stack([torch.ones_like(inverse), inverse], 1)
    return float(torch.linalg.lstsq(line, torch.tensor(distances, dtype=torch.float64)[:, None]).solution[0])


def extrapolates(reference: torch.Tensor) -> bool:
    """Say whether there are enough rows of features (N, d) for ``frechet_infinity``.

    Its smallest subsets need several rows for each direction in which they vary. The number of directions is
    the participation ratio of the covariance, tr(S)² / tr(S²).
    """
    if len(reference) < FRACTIONS * 16:
        return False
    covariance = Moments.of(reference).covariance
    directions = float(covariance.trace() ** 2 / covariance.square().sum().clamp(min=1e-300))
    return len(reference) >= FRACTIONS * ROWS_A_DIRECTION * directions


def standardise(reference: torch.Tensor, *others: torch.Tensor) -> list[torch.Tensor]:
    """Return ``reference`` and ``others``, float64, scaled to mean 0 and deviation 1 of ``reference``.

    A feature that is constant in the reference is only centred.
    """
    mean, std = reference.double().mean(0), deviations(reference)
    return [(features.double() - mean) / std for features in (reference, *others)]


def deviations(features: torch.Tensor) -> torch.Tensor:
    """Return each feature's standard deviation (d,) float64, 1 where it is constant."""
    std = features.double().std(0)
    return torch.where(std < 1e-6, torch.ones_like(std), std)


def histogram(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the share of each class (classes,) float64, for int64 labels (N,)."""
    return torch.bincount(labels, minlength=classes).double() / len(labels)


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> float:
    """Return the Jensen-Shannon divergence of two distributions (classes,), in bits: 0 to 1."""
    middle = (p + q) / 2
    return float((_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2)


def _relative_entropy(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    present = p > 0
    return (p[present] * (p[present] / q[present]).log2()).sum()


def class_score(logits: torch.Tensor) -> float:
    """Return ``exp(E KL(p(y|x) || p(y)))`` of class logits (N, K): 1 to K.

    Salimans et al. 2016 (arXiv:1606.03498), section 4: the Inception score, if the logits are Inception's.
    Over all rows at once, not in ten parts: Barratt & Sharma 2018 (arXiv:1801.01973), 4.1.1.
    """
    log_p = logits.double().log_softmax(1)
    log_marginal = log_p.logsumexp(0) - torch.tensor(len(logits)).double().log()
    return float((log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp())


def mode_coverage(real: torch.Tensor, generated: torch.Tensor) -> float:
    """Return the share of real classes that are generated at least half as often as they should be.

    Both are shares (classes,) from ``histogram``. A class without real images does not count.
    """
    present = real > 0
    return float((generated[present] >= real[present] / 2).double().mean())
