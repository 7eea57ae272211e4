"""Trackers that people already use, each told of a training as it goes; `track.to` in params.yaml names them.

Each is a `Follower` (gan/runtime/live_record.py) in a file of its own, and loaded by its name alone: what it
does changes no result, so it is no dependency of the stage. Nothing leaves this machine but to a server whose
address the user has given.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan.files import RUNS
from gan.runtime.live_record import EVENTS, Follower, read_events


def folder(tracker: str, training: str, *, empty: bool = False) -> Path:
    """Return .runs/TRACKER/TRAINING, made, and emptied where that is asked for."""
    path = RUNS / tracker / training
    if empty:
        shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    return path


def catch_up(tracker: Follower, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
    """Tell a tracker of a training that goes on what came before: its rows and pictures, by step.

    The record of the training has the figures of its pictures, even of one that a kill kept from a tracker.
    """
    pictures = [event for event in read_events(EVENTS) if event["event"] == "picture"]
    for row in rows:
        while pictures and pictures[0]["step"] < row["step"]:
            _picture(tracker, facts, pictures.pop(0))
        tracker.row(row)
    for event in pictures:
        _picture(tracker, facts, event)


def _picture(tracker: Follower, facts: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    path = Path(facts["folder"], "fixed_latents", event["file"])
    if path.is_file():
        tracker.picture(event["step"], path, event.get("figures", {}))


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
