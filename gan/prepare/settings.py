"""The params that prepared images depend on."""

import json
from dataclasses import dataclass
from typing import Literal

from gan.data.archive_members import Limits
from gan.prepare.decoding.decode import Shape
from gan.prepare.decoding.depth import Ranges
from gan.prepare.decoding.pixels import RESAMPLE
from gan.prepare.layout.decision import Layout


@dataclass(frozen=True)
class Settings:
    """The params of section `data` that decide what the prepared arrays hold."""

    shape: Shape
    limits: Limits
    channels: Literal["auto", 1, 3]
    test_fraction: float
    seed: int
    near_duplicates: int | None
    layout: Layout = "auto"
    zip_names: str | None = None  # the code page of names in a zip, where the user says it
    ranges: Ranges | None = None  # of values of more than 8 bits, where the user says it

    def policy(self, channels: int) -> str:
        """Return, as JSON, how images were brought to one shape; the arrays' metadata record it."""
        resize = {"fit": self.shape.fit, "resample": RESAMPLE.name.lower() + ", antialiased"}
        return json.dumps({**resize, "channels": channels, "alpha": "on white"})
