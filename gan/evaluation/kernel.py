"""The kernel distance of two models from the same real images, and how sure their difference is.

Unbiased, unlike a Fréchet distance: real images score zero on average at any n, so models compare
even where they, or their sets of samples, differ in size.
"""

import torch

GROUPS = 20  # of the jackknife, in each set of images


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


def compare(
    real: torch.Tensor, candidate: torch.Tensor, champion: torch.Tensor, rng: torch.Generator
) -> dict[str, float]:
    """Return both models' kernel distances from ``real``, and how far the candidate's exceeds the other.

    Features are (N, d), N at least 3 each. ``_sd`` is the standard deviation by which a figure would
    vary with other images, by the delete-group jackknife: each of the three sets in turn lacks one of
    its groups of rows (Efron and Stein 1981: if anything, too large). That of the difference is not
    those of its parts together, since both are held against the same real images.
    """
    sets = [_groups(features.double(), rng) for features in (real, candidate, champion)]
    within = [KernelSums(parts, parts, same=True) for parts in sets]
    across = [KernelSums(parts, sets[0]) for parts in sets[1:]]

    def distances(keep: list[torch.Tensor]) -> tuple[float, float]:
        first, *others = (part.mean(mask, mask) for part, mask in zip(within, keep, strict=True))
        found = [
            first + own - 2 * cross.mean(mask, keep[0])
            for own, cross, mask in zip(others, across, keep[1:], strict=True)
        ]
        return found[0], found[1]

    full = [torch.ones(len(parts), dtype=torch.float64) for parts in sets]
    ours, theirs = distances(full)
    variances = torch.zeros(3, dtype=torch.float64)
    for place, mask in enumerate(full):
        rows = []
        for group in range(len(mask)):
            lacking = mask.clone()
            lacking[group] = 0
            one, other = distances([*full[:place], lacking, *full[place + 1 :]])
            rows.append([one, other, one - other])
        spread = torch.tensor(rows, dtype=torch.float64)
        variances += (spread - spread.mean(0)).square().sum(0) * (len(rows) - 1) / len(rows)
    sd = variances.sqrt().tolist()
    names = ("candidate", "champion", "difference")
    values = (ours, theirs, ours - theirs)
    return dict(zip(names, values, strict=True)) | {
        f"{name}_sd": value for name, value in zip(names, sd, strict=True)
    }


def _groups(features: torch.Tensor, rng: torch.Generator) -> list[torch.Tensor]:
    order = torch.randperm(len(features), generator=rng)
    return [features[rows] for rows in order.tensor_split(min(GROUPS, len(features)))]


def _kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3
