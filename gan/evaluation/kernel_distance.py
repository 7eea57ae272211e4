"""Kernel distances from real images, and the uncertainty of the difference between two models.

The kernel distance is unbiased, unlike a Fréchet distance. Real images score zero on average at any n, so
sets of different sizes can be compared.
"""

import torch

from gan.devices import side_by_side
from gan.evaluation.intervals import deal, spread


class KernelSums:
    """Sums of a kernel between groups of rows; they give the mean over any subset of groups.

    The kernel is ``(x·y / d + 1)³`` (Bińkowski et al. 2018, arXiv:1801.01401, section 3.1).
    """

    def __init__(self, a: list[torch.Tensor], b: list[torch.Tensor], *, same: bool = False) -> None:
        sums = side_by_side(lambda x: torch.stack([_kernel(x, y).sum() for y in b]), a)
        self.sums = torch.stack(sums)
        self.sizes_a = torch.tensor([len(x) for x in a], dtype=torch.float64)
        self.sizes_b = torch.tensor([len(y) for y in b], dtype=torch.float64)
        self.same = same
        if same:  # no row is compared with itself
            self.sums -= torch.diag(
                torch.stack([((x.square().sum(1) / x.shape[1] + 1) ** 3).sum() for x in a])
            )

    def mean(self, keep_a: torch.Tensor, keep_b: torch.Tensor) -> float:
        """Return the mean kernel over pairs of the kept groups; masks (G,) of 0 and 1."""
        rows, columns = keep_a @ self.sizes_a, keep_b @ self.sizes_b
        pairs = rows * (rows - 1) if self.same else rows * columns
        return float(keep_a @ self.sums @ keep_b / pairs)


class KernelDistances:
    """Unbiased squared maximum mean discrepancies of several sets from the same real features.

    Gretton et al. 2012 (JMLR 13), equation 3. Features are (N, d), N at least 3 each.
    """

    def __init__(self, real: torch.Tensor, others: list[torch.Tensor], rng: torch.Generator) -> None:
        sets = [_groups(features.double(), rng) for features in (real, *others)]
        self.within = [KernelSums(groups, groups, same=True) for groups in sets]
        self.across = [KernelSums(groups, sets[0]) for groups in sets[1:]]
        self.full = [torch.ones(len(groups), dtype=torch.float64) for groups in sets]

    def values(self) -> list[float]:
        """Return the distance of each set from the real one; around 0 for real images."""
        return self._of(self.full)

    def _of(self, keep: list[torch.Tensor]) -> list[float]:
        first, *others = (sums.mean(mask, mask) for sums, mask in zip(self.within, keep, strict=True))
        return [
            first + within - 2 * cross.mean(mask, keep[0])
            for within, cross, mask in zip(others, self.across, keep[1:], strict=True)
        ]

    def variances(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the variance of each weighted sum of the distances: weights (sums, sets), result (sums,).

        By the delete-group jackknife: each set in turn, the real one too, lacks one of its groups.
        """
        total = torch.zeros(len(weights), dtype=torch.float64)
        for index, mask in enumerate(self.full):
            rows = []
            for group in range(len(mask)):
                lacking = mask.clone()
                lacking[group] = 0
                rows.append(self._of([*self.full[:index], lacking, *self.full[index + 1 :]]))
            total += spread(torch.tensor(rows, dtype=torch.float64) @ weights.T.double()).square()
        return total


def compare(
    real: torch.Tensor, candidate: torch.Tensor, champion: torch.Tensor, rng: torch.Generator
) -> dict[str, float]:
    """Return the kernel distances of both models from ``real``, their difference, and each with its ``_sd``.

    Features are (N, d), N at least 3 each. The keys are candidate, champion and difference (candidate minus
    champion). ``_sd``: standard deviation over other images, by the delete-group jackknife. That of the
    difference is measured by itself, because both models share the real images.
    """
    distances = KernelDistances(real, [candidate, champion], rng)
    ours, theirs = distances.values()
    sd = distances.variances(torch.tensor([[1, 0], [0, 1], [1, -1]])).sqrt().tolist()
    names = ("candidate", "champion", "difference")
    values = (ours, theirs, ours - theirs)
    return dict(zip(names, values, strict=True)) | {
        f"{name}_sd": value for name, value in zip(names, sd, strict=True)
    }


def kernel_distance(
    real: torch.Tensor, generated: torch.Tensor, other: torch.Tensor, rng: torch.Generator
) -> tuple[float, float, float]:
    """Return the distance of ``generated`` from ``real``, its standard deviation, and that of ``other``."""
    distances = KernelDistances(real, [generated, other], rng)
    value, floor = distances.values()
    return value, float(distances.variances(torch.tensor([[1, 0]])).sqrt()), floor


def _groups(features: torch.Tensor, rng: torch.Generator) -> list[torch.Tensor]:
    return [features[rows] for rows in deal(len(features), rng)]


def _kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a @ b.T).div_(a.shape[1]).add_(1).pow_(3)
