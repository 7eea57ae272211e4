"""Weights & Biases, offline, in .runs/wandb: `wandb sync` uploads a run where the user wants that."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when it is imported

import wandb

from gan.trackers import catch_up, flat, folder, of_row


class Tracker:
    """Logs metrics and pictures; begun again, it writes a run anew."""

    def __init__(self, training: str, params: Mapping[str, Any]) -> None:
        self.training, self.params = training, params

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
        """Begin with the rows and pictures so far."""
        settings = wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True
        )
        target = folder("wandb", self.training, empty=True)
        self.run = wandb.init(
            project="ganflow",
            id=self.training,
            mode="offline",
            dir=os.fspath(target),
            config=flat(self.params),
            settings=settings,
            reinit="finish_previous",
        )
        catch_up(self, facts, rows)

    def row(self, row: Mapping[str, float]) -> None:
        """Log a metric for each figure."""
        self.run.log(of_row(row), step=int(row["step"]))

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Log the fixed latents' grid, and the figures of the snapshot."""
        shown = {f"snapshot/{name}": value for name, value in figures.items()}
        self.run.log({**shown, "fixed_latents": wandb.Image(os.fspath(path))}, step=step)

    def end(self) -> None:
        """Close the run."""
        self.run.finish()
