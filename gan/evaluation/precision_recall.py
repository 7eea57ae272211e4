"""Precision, recall, density and coverage, from balls that reach from an image to its k-th neighbour."""

from dataclasses import dataclass

import torch

from gan.devices import side_by_side
from gan.evaluation.nearest_neighbours import Points, block, chunks, nearest, plain_float32, within


@dataclass(frozen=True)
class Manifold:
    """The counts behind the metrics, for G generated and R real rows.

    ``balls`` (G,) int64: in how many real balls each generated row lies. ``recalled`` (R,) bool: whether a
    generated ball contains the real row. ``covered`` (R,) bool: whether its ball contains a generated row.
    """

    balls: torch.Tensor
    recalled: torch.Tensor
    covered: torch.Tensor
    nearest_k: int

    @property
    def precision(self) -> float:
        """Share of generated rows that lie in the ball of a real row.

        Kynkäänniemi et al. 2019 (arXiv:1904.06991), equations 1 and 2.
        """
        return _share(self.balls > 0)

    @property
    def recall(self) -> float:
        """Share of real rows that lie in the ball of a generated row."""
        return _share(self.recalled)

    @property
    def density(self) -> float:
        """Mean number of real balls that contain a generated row, over k: 0 or more, 1 for real rows.

        Naeem et al. 2020 (arXiv:2002.09797), equation 3.
        """
        return float(self.balls.double().mean()) / self.nearest_k

    @property
    def coverage(self) -> float:
        """Share of real rows whose ball contains a generated row. Naeem et al. 2020, equation 4."""
        return _share(self.covered)


def compare(real: torch.Tensor, generated: torch.Tensor, nearest_k: int) -> Manifold:
    """Compare features (R, d) and (G, d), R and G each more than ``nearest_k``.

    A row on the edge of a ball is inside it, as in Kynkäänniemi 2019 (prdc: outside).
    """
    centre = real.mean(0)
    a, b = Points.of(real, centre), Points.of(generated, centre)
    radii_a, radii_b = (nearest(x, x, nearest_k, same=True).distances[:, -1] for x in (a, b))

    def count(chunk: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        squared = block(a, b, chunk)
        inside = within(squared, a, b, chunk, radii_a[chunk, None])
        return inside.sum(0), within(squared, a, b, chunk, radii_b[None]).any(1), inside.any(1)

    with plain_float32():
        balls, recalled, covered = zip(*side_by_side(count, chunks(a)), strict=True)
    return Manifold(torch.stack(balls).sum(0), torch.cat(recalled), torch.cat(covered), nearest_k)


def _share(which: torch.Tensor) -> float:
    return which.double().mean().item()
