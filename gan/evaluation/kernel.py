"""Kernel distances from real images, and how sure the difference of two models' is.

Unbiased, unlike a Fréchet distance: real images score zero on average at any n, so models compare
even where they, or their sets of samples, differ in size.
"""

import torch

from gan.evaluation.intervals import deal, spread


class KernelSums:
    """Sums of a kernel between groups of rows, from which any subset's distance follows.

    The kernel is ``(x·y / d + 1)³`` (Bińkowski et al. 2018, arXiv:1801.01401, section 3.1).
    """

    def __init__(self, a: list[torch.Tensor], b: list[torch.Tensor], *, same: bool = False) -> None:
        self.sums = torch.stack([torch.stack([_kernel(x, y).sum() for y in b]) for x in a])
        self.sizes_a = torch.tensor([len(x) for x in a], dtype=torch.float64)
        self.sizes_b = torch.tensor([len(y) for y in b], dtype=torch.float64)
        self.same = same
        if same:  # no row is compared with itself
            self.sums -= torch.diag(
                torch.stack([((x.square().sum(1) / x.shape[1] + 1) ** 3).sum() for x in a])
            )

    def mean(self, keep_a: torch.Tensor, keep_b: torch.Tensor) -> float:
        """Return the mean kernel over pairs from the kept groups, (G,) of 0 and 1 each."""
        rows, columns = keep_a @ self.sizes_a, keep_b @ self.sizes_b
        pairs = rows * (rows - 1) if self.same else rows * columns
        return float(keep_a @ self.sums @ keep_b / pairs)


class KernelDistances:
    """Squared maximum mean discrepancies of some sets from the same real features, unbiased.

    Gretton et al. 2012 (JMLR 13), equation 3. Features are (N, d), N at least 3 each.
    """

    def __init__(self, real: torch.Tensor, others: list[torch.Tensor], rng: torch.Generator) -> None:
        sets = [_groups(features.double(), rng) for features in (real, *others)]
        self.within = [KernelSums(parts, parts, same=True) for parts in sets]
        self.across = [KernelSums(parts, sets[0]) for parts in sets[1:]]
        self.full = [torch.ones(len(parts), dtype=torch.float64) for parts in sets]

    def values(self) -> list[float]:
        """Return each set's distance from the real one; real images' varies around zero."""
        return self._of(self.full)

    def _of(self, keep: list[torch.Tensor]) -> list[float]:
        first, *others = (part.mean(mask, mask) for part, mask in zip(self.within, keep, strict=True))
        return [
            first + own - 2 * cross.mean(mask, keep[0])
            for own, cross, mask in zip(others, self.across, keep[1:], strict=True)
        ]

    def variances(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the variance of each weighted sum of the distances: weights (sums, sets), result (sums,).

        By the delete-group jackknife: each of the sets, the real one too, in turn lacks one of its groups.
        """
        total = torch.zeros(len(weights), dtype=torch.float64)
        for place, mask in enumerate(self.full):
            rows = []
            for group in range(len(mask)):
                lacking = mask.clone()
                lacking[group] = 0
                rows.append(self._of([*self.full[:place], lacking, *self.full[place + 1 :]]))
            total += spread(torch.tensor(rows, dtype=torch.float64) @ weights.T.double()).square()
        return total


def compare(
    real: torch.Tensor, candidate: torch.Tensor, champion: torch.Tensor, rng: torch.Generator
) -> dict[str, float]:
    """Return both models' kernel distances from ``real``, and how far the candidate's exceeds the other.

    Features are (N, d), N at least 3 each. ``_sd`` is the standard deviation by which a figure would
    vary with other images, by the delete-group jackknife. That of the difference is not those of its
    parts together, since both are held against the same real images.
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
