"""Trackers that people already use, each told of a training as it goes; `track.to` in params.yaml names them.

Each is a `Follower` (gan/runtime/live_record.py) in a file of its own, and loaded by its name alone: what it
does changes no result, so it is no dependency of the stage. Nothing leaves this machine but to a server whose
address the user has given.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan.files import RUNS


def folder(tracker: str, training: str, *, empty: bool = False) -> Path:
    """Return .runs/TRACKER/TRAINING, made, and emptied where that is asked for."""
    path = RUNS / tracker / training
    if empty:
        shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    return path


def of_row(row: Mapping[str, float]) -> dict[str, float]:
    """Return the figures of a row without its step."""
    return {name: float(value) for name, value in row.items() if name != "step"}


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return params by dotted name, as text."""
    found: dict[str, str] = {}
    for name, value in params.items():
        found |= (
            flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": str(value)}
        )
    return found
