"""DVCLive's files in .runs/dvclive: metrics as TSV, pictures, a summary."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("DVC_STUDIO_OFFLINE", "true")  # nothing is posted

from dvclive.live import Live

from gan.trackers import catch_up, flat, folder, of_row


class Tracker:
    """Logs metrics and pictures; begun again, it writes all of them anew."""

    def __init__(self, training: str, params: Mapping[str, Any]) -> None:
        self.training, self.params = training, params

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
        """Begin with the rows and pictures so far."""
        target = folder("dvclive", self.training, empty=True)
        self.live = Live(os.fspath(target), save_dvc_exp=False, dvcyaml=None, monitor_system=False)
        self.live.log_params(dict(flat(self.params)))
        catch_up(self, facts, rows)

    def row(self, row: Mapping[str, float]) -> None:
        """Log a metric for each figure."""
        self.live.step = int(row["step"])
        for name, value in of_row(row).items():
            self.live.log_metric(name, value)
        self.live.make_summary()

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Log the fixed latents' grid, and the figures of the snapshot."""
        self.live.step = step
        for name, value in figures.items():
            self.live.log_metric(f"snapshot/{name}", value)
        self.live.log_image(path.name, path)

    def end(self) -> None:
        """Close."""
        self.live.end()
