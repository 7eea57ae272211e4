"""Euclidean distances between many vectors: fast in float32, with exact results.

Squared distances come in blocks from float32 matrix products. Where their rounding could decide (which is
nearer, which is within a radius), the distance is computed again in float64.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from gan.devices import side_by_side

CHUNK = 500  # rows of a distance matrix held at once
SPARE = 6  # additional candidates: rounding changes the rank of a neighbour by one or two at most
# The error of a float32 product of d terms is about sqrt(d) * 6e-8 of the vectors' lengths: less than this
# share of both squared lengths, up to thousands of dimensions.
ROUNDING = 4e-6


@dataclass(frozen=True)
class Points:
    """Vectors (N, d) float32, centred so that rounding stays small, and their squared lengths (N,)."""

    rows: torch.Tensor
    lengths: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, centre: torch.Tensor) -> "Points":
        """Return ``features`` (N, d) of any dtype minus ``centre`` (d,), the same for all sets."""
        rows = (features - centre).float()
        return cls(rows, rows.square().sum(1))

    def __len__(self) -> int:
        """Return N."""
        return len(self.rows)


@dataclass(frozen=True)
class Nearest:
    """The K nearest others of N rows, nearest first: distances (N, K) float64, rows (N, K) int64."""

    distances: torch.Tensor
    rows: torch.Tensor


def chunks(a: Points) -> list[slice]:
    """Return the rows of each ``block``, each for one thread, so that no figure depends on their number."""
    return [slice(start, start + CHUNK) for start in range(0, len(a), CHUNK)]


def block(a: Points, b: Points, chunk: slice) -> torch.Tensor:
    """Return squared distances (rows, N_b) float32 of rows of ``a``; rounding may make them negative."""
    with plain_float32():
        squared = torch.addmm(b.lengths[None], a.rows[chunk], b.rows.T, alpha=-2)
    return squared.add_(a.lengths[chunk, None])


def nearest(a: Points, b: Points, k: int, *, same: bool = False) -> Nearest:
    """Return the ``k`` nearest rows of ``b`` for each row; with ``same`` (a is b) without the row itself.

    There are fewer if ``b`` has fewer. Equally near rows keep their order.
    """
    k = min(k, len(b) - same)

    def look(chunk: slice) -> tuple[torch.Tensor, torch.Tensor]:
        squared = block(a, b, chunk)
        if same:
            squared[torch.arange(len(squared)), torch.arange(len(b))[chunk]] = torch.inf
        candidates = squared.topk(min(k + SPARE, len(b) - same), dim=1, largest=False).indices.sort(1).values
        exact = _exact(a.rows[chunk], b.rows, candidates)
        order = exact.argsort(dim=1, stable=True)[:, :k]
        return exact.gather(1, order), candidates.gather(1, order)

    with plain_float32():
        distances, rows = zip(*side_by_side(look, chunks(a)), strict=True)
    return Nearest(torch.cat(distances), torch.cat(rows))


def within(squared: torch.Tensor, a: Points, b: Points, chunk: slice, radii: torch.Tensor) -> torch.Tensor:
    """Return which pairs of a block are at most ``radii`` apart: bool (rows, N_b).

    ``radii``: float64, (rows, 1) or (1, N_b). Pairs that float32 cannot decide are computed in float64.
    """
    excess = squared - radii.square().float()
    inside = excess <= 0
    doubt = ROUNDING * (a.lengths[chunk, None] + b.lengths.max())
    one, other = (excess.abs_() <= doubt).nonzero(as_tuple=True)
    for some in torch.arange(len(one)).split(100_000):
        i, j = one[some], other[some]
        limit = radii.expand_as(squared)[i, j]
        inside[i, j] = (a.rows[chunk][i].double() - b.rows[j].double()).norm(dim=1) <= limit
    return inside


def _exact(a: torch.Tensor, b: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return distances (N, K) float64 from ``a`` (N, d) to the ``rows`` (N, K) of ``b``."""
    columns = [(a.double() - b[rows[:, i]].double()).norm(dim=1) for i in range(rows.shape[1])]
    return torch.stack(columns, 1)


@contextmanager
def plain_float32() -> Iterator[None]:
    """Multiply float32 matrices in full precision within the block (no bfloat16, no TF32)."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
