"""What others may follow while a training runs: `ganflow watch`, a progress chart in an editor, a tracker.

.runs/live/training.jsonl grows by a line of JSON at each event, and begins anew with each training:

    {"event": "begin", "time": …, "total": 3000, "images_per_step": 64, "folder": ".runs/train-…", …}
    {"event": "row", "time": …, "step": 50, "loss_d": …, …}        as in reports/training.csv
    {"event": "picture", "time": …, "step": 750, "file": "step-000000750.png", "figures": {…}}
    {"event": "end", "time": …}

A kill may leave the last line torn; readers skip what is no JSON. No result depends on this file, and
where it cannot be written the training goes on.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from gan import paths
from gan.errors import UserError
from gan.files import RUNS, write_text
from gan.urls import redacted

LIVE = RUNS / "live"
EVENTS = LIVE / "training.jsonl"
ADDRESS = LIVE / "watch.json"  # where `ganflow watch` serves its page, while it does


KEYS = {
    "begin": {"time", "total", "images_per_step", "folder", "columns"},
    "row": {"time", "step"},
    "picture": {"time", "step", "file"},
    "end": {"time"},
}


class Follower(Protocol):
    """What is told of a training as it goes."""

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
        """Begin, or begin again at an earlier step: ``rows`` are those so far."""

    def row(self, row: Mapping[str, float]) -> None:
        """Take the figures of one more row of the log, `step` among them."""

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Take the fixed latents' grid of a snapshot, a PNG, and its cheap figures."""

    def end(self) -> None:
        """Close: the training has come to its end."""


class Followers:
    """All followers of a training, told of rows as figures in the order of ``columns``.

    One that fails costs a line and itself, not the training.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns, self.each = columns, list[Follower]()

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Sequence[float]]) -> None:
        """Tell all of them, as the methods below do, what `Follower` describes."""
        self._tell("begin", {**facts, "columns": list(self.columns)}, [self._named(row) for row in rows])

    def row(self, row: Sequence[float]) -> None:
        """Tell of a row."""
        self._tell("row", self._named(row))

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Tell of a picture."""
        self._tell("picture", step, path, figures)

    def end(self) -> None:
        """Tell of the end."""
        self._tell("end")

    def _tell(self, method: str, *arguments: Any) -> None:
        for follower in list(self.each):
            try:
                getattr(follower, method)(*arguments)
            except Exception as error:
                self.each.remove(follower)
                name = type(follower).__module__.rpartition(".")[2]
                text = " ".join(redacted(str(error)).split())[:200]
                print(f"train     {name}: told no more of this training: {text}", file=sys.stderr, flush=True)

    def _named(self, row: Sequence[float]) -> dict[str, float]:
        whole = ("step", "images_seen")
        return {n: int(v) if n in whole else v for n, v in zip(self.columns, row, strict=True)}


class LiveRecord:
    """Writes the events, and lets reports/training.csv and reports/fixed_latents grow.

    The outs grow only where DVC has removed those of the run before: there is nothing to mix them with.
    """

    def __init__(self) -> None:
        self.grows = not paths.FINAL.exists()

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
        """Begin the file anew, with the times that earlier rows and pictures of this training had."""
        before = read_events(EVENTS)
        if not before or before[0].get("folder") != facts["folder"]:
            before = []
        last, now = int(rows[-1]["step"]) if rows else 0, time.time()
        times = {event["step"]: event["time"] for event in before if event["event"] == "row"}
        events: list[dict[str, Any]] = [{"event": "begin", "time": now, **facts, "resumed_at": last}]
        events += [{"event": "row", "time": times.get(row["step"], now), **row} for row in rows]
        events += [event for event in before if event["event"] == "picture" and event["step"] <= last]
        write_text(EVENTS, "".join(json.dumps(event) + "\n" for event in events))
        if self.grows:
            write_text(
                paths.TRAINING, "".join(_csv(line) for line in [facts["columns"], *map(_values, rows)])
            )
            for picture in sorted(Path(facts["folder"], "fixed_latents").glob("*.png")):
                _copy(picture)

    def row(self, row: Mapping[str, float]) -> None:
        """Append a row."""
        _append(EVENTS, json.dumps({"event": "row", "time": time.time(), **row}) + "\n")
        if self.grows:
            _append(paths.TRAINING, _csv(_values(row)))

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Append a picture, and show it where the outs grow."""
        event = {"event": "picture", "time": time.time(), "step": step, "file": path.name, "figures": figures}
        _append(EVENTS, json.dumps(event) + "\n")
        if self.grows:
            _copy(path)

    def end(self) -> None:
        """Append the end."""
        _append(EVENTS, json.dumps({"event": "end", "time": time.time()}) + "\n")


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the events of a record; none where there is no file. Torn lines are left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    events = []
    for line in lines:
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and KEYS.get(event.get("event", ""), {"none"}) <= event.keys():
                events.append(event)
    return events


def _append(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def _copy(picture: Path) -> None:
    paths.FIXED_LATENTS.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(picture, paths.FIXED_LATENTS / picture.name)


def _values(row: Mapping[str, float]) -> list[str]:
    """Return the figures as the stage's export writes them."""
    return [f"{value:d}" if isinstance(value, int) else f"{value:.6g}" for value in row.values()]


def _csv(values: Sequence[str]) -> str:
    return ",".join(values) + "\n"


def trackers(names: Sequence[str], training: str, params: Mapping[str, Any]) -> list[Follower]:
    """Return the trackers that `track.to` names. Raises UserError where the package of one is missing.

    They are imported by name, out of sight of what finds a stage's sources: they change no result.
    """
    found: list[Follower] = []
    for name in names:
        try:
            module = import_module(f"gan.trackers.{name}")
        except ModuleNotFoundError as error:
            raise UserError(
                f"params.yaml: track.to: {name}: its package is not installed ({error.name}); "
                f"`make setup` installs it, or take {name} out of track.to"
            ) from None
        found.append(module.Tracker(training, params))
    return found


def invitation() -> str:
    """Say where this training can be watched."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        served = json.loads(ADDRESS.read_text(encoding="utf-8"))
        os.kill(int(served["process"]), 0)
        return f"live at {served['address']}"
    return "`ganflow watch` shows it live"
