"""TensorBoard's event files in .runs/tensorboard: `tensorboard --logdir .runs/tensorboard` shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from gan.trackers import catch_up, flat, folder, of_row


class Tracker:
    """Writes scalars and pictures; begun again, it writes all of them anew."""

    def __init__(self, training: str, params: Mapping[str, Any]) -> None:
        self.training, self.params = training, params

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
        """Begin a file with the rows and pictures so far."""
        self.writer = SummaryWriter(folder("tensorboard", self.training, empty=True), flush_secs=5)
        text = "\n".join(f"    {name}: {value}" for name, value in flat(self.params).items())
        self.writer.add_text("params", text)
        catch_up(self, facts, rows)

    def row(self, row: Mapping[str, float]) -> None:
        """Write a scalar for each figure."""
        for name, value in of_row(row).items():
            self.writer.add_scalar(name, value, int(row["step"]))

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Write the fixed latents' grid, and the figures of the snapshot."""
        for key, value in figures.items():
            self.writer.add_scalar(f"snapshot/{key}", value, step)
        pixels = np.asarray(Image.open(path).convert("RGB"))
        self.writer.add_image("fixed_latents", pixels, step, dataformats="HWC")

    def end(self) -> None:
        """Close the file."""
        self.writer.close()
