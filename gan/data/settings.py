"""The params that prepared images depend on."""

import json
from dataclasses import dataclass
from typing import Literal

from gan.data.decode import Shape
from gan.data.members import Limits
from gan.data.pixels import RESAMPLE


@dataclass(frozen=True)
class Settings:
    """See the module."""

    shape: Shape
    limits: Limits
    channels: Literal["auto", 1, 3]
    test_fraction: float
    seed: int
    near_duplicates: int | None

    def policy(self, channels: int) -> str:
        """Return how images were brought to one shape, as it is recorded in the arrays' metadata."""
        resize = {"fit": self.shape.fit, "resample": RESAMPLE.name.lower() + ", antialiased"}
        return json.dumps({**resize, "channels": channels, "alpha": "on white"})
