"""Metrics as pure functions on feature arrays: (N, d) float tensors in, numbers out.

The features come from the project's own extractor, so these are Fréchet distances, not FIDs, and
compare only under one extractor. All sums run in float64.
"""

import torch

CHUNK = 2000  # rows of a distance matrix held at once


def moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean (d,) and unbiased covariance (d, d) of features (N, d), N at least 2."""
    features = features.double()
    centred = features - features.mean(0)
    return features.mean(0), centred.T @ centred / (len(features) - 1)


def frechet_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return ``|m_a - m_b|² + tr(S_a + S_b - 2 (S_a S_b)^½)`` (Heusel et al. 2017, arXiv:1706.08500).

    The square root is taken by two symmetric eigenproblems, so it is never complex.
    """
    (mean_a, cov_a), (mean_b, cov_b) = moments(a), moments(b)
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(float(distance), 0.0)


def frechet_distance_sd(a: torch.Tensor, b: torch.Tensor, rng: torch.Generator, groups: int = 20) -> float:
    """Return the standard deviation of the Fréchet distance by the delete-group jackknife.

    Each set in turn lacks one of ``groups`` random groups of its rows (fewer where it has fewer rows).
    Efron and Stein 1981: the estimate is, if anything, too large. A bootstrap's repeated rows lower
    the rank of a covariance of few images, and it was larger still.
    """

    def variance(varied: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        parts = torch.randperm(len(varied), generator=rng).tensor_split(min(groups, len(varied)))
        kept = [torch.cat([*parts[:i], *parts[i + 1 :]]) for i in range(len(parts))]
        found = torch.tensor([frechet_distance(varied[rows], other) for rows in kept], dtype=torch.float64)
        return (found - found.mean()).square().sum() * (len(parts) - 1) / len(parts)

    return float((variance(a, b) + variance(b, a)).sqrt())


def share_sd(share: float, n: int) -> float:
    """Return the standard deviation of a share that was counted among ``n`` (binomial)."""
    return float((share * (1 - share) / n) ** 0.5)


def standardise(reference: torch.Tensor, *others: torch.Tensor) -> list[torch.Tensor]:
    """Z-score features by the mean and standard deviation of ``reference``; it comes back first.

    A feature that is constant in the reference is only centred.
    """
    mean, std = reference.double().mean(0), reference.double().std(0)
    std = torch.where(std < 1e-6, torch.ones_like(std), std)
    return [(features.double() - mean) / std for features in (reference, *others)]


def precision_recall(real: torch.Tensor, generated: torch.Tensor, nearest_k: int) -> tuple[float, float]:
    """Return improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991, equation 1-2).

    Precision: the share of generated samples within some real one's distance to its k-th nearest
    real neighbour. Recall: the same with the roles exchanged. Both in [0, 1].
    """
    radii_real, radii_generated = nearest_radii(real, nearest_k), nearest_radii(generated, nearest_k)
    precise = torch.zeros(len(generated), dtype=torch.bool)
    recalled = torch.zeros(len(real), dtype=torch.bool)
    for start in range(0, len(real), CHUNK):
        rows = slice(start, start + CHUNK)
        distances = torch.cdist(real[rows].double(), generated.double())
        precise |= (distances <= radii_real[rows, None]).any(0)
        recalled[rows] = (distances <= radii_generated[None]).any(1)
    return precise.double().mean().item(), recalled.double().mean().item()


def nearest_radii(features: torch.Tensor, k: int) -> torch.Tensor:
    """Return each row's distance to its k-th nearest other row (N,), float64; N must exceed k."""
    features = features.double()
    # k + 1: the nearest is the row itself
    found = [torch.cdist(part, features).kthvalue(k + 1, dim=1)[0] for part in features.split(CHUNK)]
    return torch.cat(found)


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
