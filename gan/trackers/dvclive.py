"""DVCLive's files in .runs/dvclive: metrics as TSV, pictures, a summary.

Written here, not by DVCLive: to import it is to load DVC, which gan/ does not know.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gan.files import write_bytes, write_json, write_text
from gan.paths import PARAMS
from gan.trackers import catch_up, flat, folder, of_row


class Tracker:
    """Writes metrics and pictures; begun again, it writes all of them anew."""

    def __init__(self, training: str, params: Mapping[str, Any]) -> None:
        self.training, self.params = training, params
        self.summary: dict[str, Any] = {}

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
        """Begin with the rows and pictures so far."""
        self.folder = folder("dvclive", self.training, empty=True)
        text: str = yaml.safe_dump(dict(flat(self.params)), allow_unicode=True, sort_keys=False, width=10_000)
        write_text(self.folder / PARAMS.name, text)
        catch_up(self, facts, rows)

    def row(self, row: Mapping[str, float]) -> None:
        """Add a line to the file of each figure."""
        self._add(int(row["step"]), of_row(row), self.summary)

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Keep the fixed latents' grid, and the figures of the snapshot."""
        self._add(step, figures, self.summary.setdefault("snapshot", {}), "snapshot")
        write_bytes(self.folder / "plots" / "images" / path.name, path.read_bytes())

    def end(self) -> None:
        """Nothing is left to do: every file is whole at all times."""

    def _add(self, step: int, figures: Mapping[str, float], summary: dict[str, Any], below: str = "") -> None:
        for name, value in figures.items():
            table = self.folder / "plots" / "metrics" / below / f"{name}.tsv"
            head = "" if table.exists() else f"step\t{name}\n"
            table.parent.mkdir(parents=True, exist_ok=True)
            with open(table, "a", encoding="utf-8", newline="\n") as file:
                file.write(f"{head}{step}\t{value}\n")
            summary[name] = value if math.isfinite(value) else str(value)
        self.summary["step"] = step
        write_json(self.folder / "metrics.json", self.summary)
