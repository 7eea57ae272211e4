"""Standard deviations of metrics over other images, and 95 % intervals.

Distances use the delete-group jackknife (Efron and Stein 1981; at worst it is too large). Metrics of nearest
neighbours use the spread between disjoint parts (Politis, Romano, Wolf 1999, "Subsampling"): for them the
jackknife was twice too large, and the spread of independent rows up to 1.7 times too small
(docs/evaluation.md). The bootstrap is not used: repeated rows lower the rank of a covariance, are their own
nearest neighbours, and bias distances upward.
"""

from collections.abc import Callable, Iterator

import torch

from gan.devices import side_by_side

GROUPS = 20  # of the jackknife
PARTS, TIMES = 4, 5  # of the subsampling: disjoint subsets, and how often they are drawn anew
Z = 1.959964  # half a 95 % interval of a normal distribution, in standard deviations

Statistic = Callable[[torch.Tensor, torch.Tensor], list[float]]


def deal(count: int, rng: torch.Generator, groups: int = GROUPS) -> list[torch.Tensor]:
    """Deal ``count`` row numbers at random into groups, at most one group per row."""
    return list(torch.randperm(count, generator=rng).tensor_split(min(groups, count)))


def without(groups: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield, for each group, the rows of all other groups."""
    for i in range(len(groups)):
        yield torch.cat([*groups[:i], *groups[i + 1 :]])


def spread(values: torch.Tensor) -> torch.Tensor:
    """Return jackknife standard deviations (...,) from ``values`` (groups, ...), each without one group."""
    values = values.double()
    return ((values - values.mean(0)).square().sum(0) * (len(values) - 1) / len(values)).sqrt()


def jackknife(statistic: Statistic, sizes: tuple[int, int], rng: torch.Generator) -> list[float]:
    """Return the standard deviation of each figure that ``statistic(rows of a, rows of b)`` returns.

    The i-th groups of both sets are left out together. The sets are independent, so their variances add up.
    """
    groups = [deal(size, rng, min(GROUPS, *sizes)) for size in sizes]
    values = side_by_side(lambda rows: statistic(*rows), list(zip(*map(without, groups), strict=True)))
    return [float(sd) for sd in spread(torch.tensor(values, dtype=torch.float64))]


def subsample(statistic: Statistic, sizes: tuple[int, int], rng: torch.Generator) -> list[float]:
    """Like ``jackknife``, but from the variance between disjoint subsets of both sets, over their number."""
    variances = []
    for _ in range(TIMES):
        subsets = [deal(size, rng, PARTS) for size in sizes]
        values = [statistic(a, b) for a, b in zip(*subsets, strict=True)]
        variances.append(torch.tensor(values, dtype=torch.float64).var(0) / PARTS)
    return [float(sd) for sd in torch.stack(variances).mean(0).sqrt()]


def normal(value: float, sd: float, least: float = float("-inf")) -> tuple[float, float]:
    """Return the 95 % interval of a figure that is about normal and never below ``least``."""
    return max(value - Z * sd, least), value + Z * sd


def wilson(share: float, n: float, sd: float = 0.0) -> tuple[float, float]:
    """Return Wilson's 95 % interval (1927) of a share of ``n`` rows; it is right at 0 and 1 too.

    ``sd``: the share's standard deviation, if rows depend on one another. If it is larger than for
    independent rows, ``n`` is reduced to the number of independent rows that would have it.
    """
    coin = share * (1 - share)
    if sd > 0 and coin > 0:
        n = min(n, coin / sd**2)
    middle, room = share + Z**2 / (2 * n), Z * (coin / n + Z**2 / (4 * n**2)) ** 0.5
    scale = 1 + Z**2 / n
    low, high = (middle - room) / scale, (middle + room) / scale
    return (low if share > 0 else 0.0), (high if share < 1 else 1.0)  # exactly, without rounding errors
