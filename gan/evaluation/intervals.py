"""How far a figure would vary with other images, and 95 % intervals from it.

Distances: the delete-group jackknife (Efron and Stein 1981: if anything, too large). Figures of nearest
neighbours: the spread among disjoint parts (Politis, Romano, Wolf 1999, "Subsampling"), since leaving
rows out made them twice too large, and a coin's spread was up to 1.7 times too small (docs/evaluation.md).
No bootstrap: repeated rows lower the rank of a covariance, are their own nearest neighbours, and
bias distances upward.
"""

from collections.abc import Callable, Iterator

import torch

GROUPS = 20  # of the jackknife
PARTS, TIMES = 4, 5  # of the subsampling: disjoint parts, and how often they are dealt anew
Z = 1.959964  # standard deviations of a normal distribution to each side that hold 95 %

Statistic = Callable[[torch.Tensor, torch.Tensor], list[float]]


def deal(count: int, rng: torch.Generator, groups: int = GROUPS) -> list[torch.Tensor]:
    """Deal ``count`` row numbers at random into groups (fewer where there are fewer rows)."""
    return list(torch.randperm(count, generator=rng).tensor_split(min(groups, count)))


def without(parts: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield the rows that are left when each group in turn is left out."""
    for i in range(len(parts)):
        yield torch.cat([*parts[:i], *parts[i + 1 :]])


def spread(values: torch.Tensor) -> torch.Tensor:
    """Return standard deviations (...,) of figures that without each group were ``values`` (groups, ...)."""
    values = values.double()
    return ((values - values.mean(0)).square().sum(0) * (len(values) - 1) / len(values)).sqrt()


def jackknife(statistic: Statistic, sizes: tuple[int, int], rng: torch.Generator) -> list[float]:
    """Return standard deviations of ``statistic(rows of a, rows of b)``, which gives some figures.

    The i-th groups of both sets are left out at once: independent as the sets are, their parts of the
    variance add up.
    """
    parts = [deal(size, rng, min(GROUPS, *sizes)) for size in sizes]
    found = [statistic(a, b) for a, b in zip(*map(without, parts), strict=True)]
    return [float(sd) for sd in spread(torch.tensor(found, dtype=torch.float64))]


def subsample(statistic: Statistic, sizes: tuple[int, int], rng: torch.Generator) -> list[float]:
    """As ``jackknife``, from the variance among disjoint parts of both sets, over their number."""
    variances = []
    for _ in range(TIMES):
        parts = [deal(size, rng, PARTS) for size in sizes]
        found = [statistic(a, b) for a, b in zip(*parts, strict=True)]
        variances.append(torch.tensor(found, dtype=torch.float64).var(0) / PARTS)
    return [float(sd) for sd in torch.stack(variances).mean(0).sqrt()]


def normal(value: float, sd: float, least: float = float("-inf")) -> tuple[float, float]:
    """Return 95 % around a figure that varies about normally and is never below ``least``."""
    return max(value - Z * sd, least), value + Z * sd


def wilson(share: float, n: float, sd: float = 0.0) -> tuple[float, float]:
    """Return Wilson's 95 % interval (1927) of a share counted among ``n``: right at 0 and 1 too.

    ``sd``: its standard deviation where the rows depend on one another; if that is more than a coin's,
    the interval is that of so many independent rows as would have it.
    """
    coin = share * (1 - share)
    if sd > 0 and coin > 0:
        n = min(n, coin / sd**2)
    middle, room = share + Z**2 / (2 * n), Z * (coin / n + Z**2 / (4 * n**2)) ** 0.5
    scale = 1 + Z**2 / n
    low, high = (middle - room) / scale, (middle + room) / scale
    return (low if share > 0 else 0.0), (high if share < 1 else 1.0)  # rounding aside, they are just that
