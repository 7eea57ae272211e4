"""Euclidean distances among many vectors: quick in float32, exact in what is told.

Blocks of squared distances come out of float32 matrix products. Wherever the rounding of those
could decide (who is nearer, who is within a radius), the pair is measured again in float64.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

CHUNK = 2000  # rows of a distance matrix held at once
SPARE = 6  # more candidates than asked for: rounding moves a neighbour by a rank or two at most
# A float32 product of d terms is off by some sqrt(d) * 6e-8 of the vectors' lengths, hence by less
# than this share of both squared lengths, up to thousands of dimensions.
ROUNDING = 4e-6


@dataclass(frozen=True)
class Points:
    """Vectors (N, d) float32, centred so that rounding stays small, and their squared lengths (N,)."""

    rows: torch.Tensor
    lengths: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, centre: torch.Tensor) -> "Points":
        """Return ``features`` (N, d) of any dtype less ``centre`` (d,), which all sets must share."""
        rows = (features - centre).float()
        return cls(rows, rows.square().sum(1))

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)


@dataclass(frozen=True)
class Nearest:
    """Each of N rows' K nearest others, the nearest first: distances (N, K) float64, rows (N, K) int64."""

    distances: torch.Tensor
    rows: torch.Tensor


def blocks(a: Points, b: Points) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield (rows of ``a``, squared distances (rows, N_b) float32); rounding may make them negative."""
    for start in range(0, len(a), CHUNK):
        part = slice(start, start + CHUNK)
        with plain_float32():
            found = torch.addmm(b.lengths[None], a.rows[part], b.rows.T, alpha=-2)
        yield part, found.add_(a.lengths[part, None])


def nearest(a: Points, b: Points, k: int, *, same: bool = False) -> Nearest:
    """Return each row's ``k`` nearest rows of ``b``; with ``same`` (a is b) a row is not its own neighbour.

    Fewer where ``b`` has fewer. Among equally near ones the first comes first.
    """
    k = min(k, len(b) - same)
    distances, rows = [], []
    for part, squared in blocks(a, b):
        if same:
            squared[torch.arange(len(squared)), torch.arange(len(b))[part]] = torch.inf
        found = squared.topk(min(k + SPARE, len(b) - same), dim=1, largest=False).indices.sort(1).values
        exact = _exact(a.rows[part], b.rows, found)
        order = exact.argsort(dim=1, stable=True)[:, :k]
        distances.append(exact.gather(1, order))
        rows.append(found.gather(1, order))
    return Nearest(torch.cat(distances), torch.cat(rows))


def within(squared: torch.Tensor, a: Points, b: Points, part: slice, radii: torch.Tensor) -> torch.Tensor:
    """Return which pairs of a block are no further apart than ``radii``: bool (rows, N_b).

    ``radii`` float64, (rows, 1) or (1, N_b). Pairs that float32 cannot decide are measured in float64.
    """
    excess = squared - radii.square().float()
    inside = excess <= 0
    doubt = ROUNDING * (a.lengths[part, None] + b.lengths.max())
    one, other = (excess.abs_() <= doubt).nonzero(as_tuple=True)
    for some in torch.arange(len(one)).split(100_000):
        i, j = one[some], other[some]
        limit = radii.expand_as(squared)[i, j]
        inside[i, j] = (a.rows[part][i].double() - b.rows[j].double()).norm(dim=1) <= limit
    return inside


def _exact(a: torch.Tensor, b: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return distances (N, K) float64 from ``a`` (N, d) to the ``rows`` (N, K) of ``b``."""
    columns = [(a.double() - b[rows[:, i]].double()).norm(dim=1) for i in range(rows.shape[1])]
    return torch.stack(columns, 1)


@contextmanager
def plain_float32() -> Iterator[None]:
    """Multiply float32 as float32 in the block, whatever was allowed before (bfloat16, TF32)."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
