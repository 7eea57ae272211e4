"""The random numbers of one step, the same whatever the number of processes.

Every process draws for the whole batch, from the same seed, and keeps its own rows.
"""

import torch

from gan import seeds


class Draws:
    """Random rows for process ``rank`` of ``world``, on ``device``."""

    def __init__(self, seed: int, device: str, rank: int = 0, world: int = 1) -> None:
        self.seed, self.rank, self.world = seed, rank, world
        self.rng = torch.Generator(device)
        self.begin("step", 0)

    def begin(self, purpose: str, index: int) -> None:
        """Seed what follows by (seed, purpose, index)."""
        self.rng.manual_seed(seeds.derive(self.seed, purpose, index))

    def normal(self, count: int, *shape: int) -> torch.Tensor:
        """Return (count, *shape) float32 from N(0, 1)."""
        return self._own(torch.randn(count * self.world, *shape, generator=self.rng, device=self.rng.device))

    def uniform(self, count: int, *shape: int) -> torch.Tensor:
        """Return (count, *shape) float32, uniform in [0, 1)."""
        return self._own(torch.rand(count * self.world, *shape, generator=self.rng, device=self.rng.device))

    def _own(self, rows: torch.Tensor) -> torch.Tensor:
        return rows if self.world == 1 else rows.chunk(self.world)[self.rank]
