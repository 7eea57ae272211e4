"""Precision, recall, density, coverage: balls around images, each as wide as to its k-th neighbour."""

from dataclasses import dataclass

import torch

from gan.evaluation.distances import Points, blocks, nearest, within


@dataclass(frozen=True)
class Manifold:
    """What was counted: of G generated rows in how many real balls each lies (G,) int64; of R real rows
    whether a generated ball covers each (R,) bool, and whether its own ball holds a generated row (R,) bool.
    """

    balls: torch.Tensor
    recalled: torch.Tensor
    covered: torch.Tensor
    nearest_k: int

    @property
    def precision(self) -> float:
        """Share of generated rows within some real one's distance to its k-th nearest real neighbour.

        Kynkäänniemi et al. 2019 (arXiv:1904.06991), equations 1 and 2.
        """
        return _share(self.balls > 0)

    @property
    def recall(self) -> float:
        """The same with the roles exchanged: share of real rows within some generated one's ball."""
        return _share(self.recalled)

    @property
    def density(self) -> float:
        """Mean number of real balls that a generated row lies in, over k: 1 of real rows, 0 and more.

        Naeem et al. 2020 (arXiv:2002.09797), equation 3.
        """
        return float(self.balls.double().mean()) / self.nearest_k

    @property
    def coverage(self) -> float:
        """Share of real rows whose ball holds a generated row. Naeem et al. 2020, equation 4."""
        return _share(self.covered)


def compare(real: torch.Tensor, generated: torch.Tensor, nearest_k: int) -> Manifold:
    """Count with features (R, d) and (G, d), each more than ``nearest_k``.

    A row on the edge of a ball is inside it, as in Kynkäänniemi 2019 (prdc: outside).
    """
    centre = real.mean(0)
    a, b = Points.of(real, centre), Points.of(generated, centre)
    radii_a, radii_b = (nearest(x, x, nearest_k, same=True).distances[:, -1] for x in (a, b))
    balls = torch.zeros(len(b), dtype=torch.int64)
    recalled = torch.zeros(len(a), dtype=torch.bool)
    covered = torch.zeros(len(a), dtype=torch.bool)
    for part, squared in blocks(a, b):
        inside = within(squared, a, b, part, radii_a[part, None])
        balls += inside.sum(0)
        covered[part] = inside.any(1)
        recalled[part] = within(squared, a, b, part, radii_b[None]).any(1)
    return Manifold(balls, recalled, covered, nearest_k)


def _share(which: torch.Tensor) -> float:
    return which.double().mean().item()
