"""What runs now, and how far it is: read from the files that stages write anyway, and from their locks."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from gan import paths
from gan.errors import UserError
from gan.files import RUNS, lock_holder
from gan.runtime.live_record import EVENTS, read_events
from gan.runtime.stage_log import LOG
from gan.yaml12 import read_yaml

POINTS = 600  # of a curve, at most: more than a screen shows
LINES = 40  # of the log
RECENT = 20  # rows that the speed is measured over
PICTURE = re.compile(r"step-\d{1,12}\.png")


def collect(root: Path) -> list[dict[str, Any]]:
    """Return every run below a checkout: its own first, then those in worktrees (flows, sweeps, queues)."""
    held = _held_locks()
    return [describe(name, folder, held) for name, folder in folders(root).items()]


def folders(root: Path) -> dict[str, Path]:
    """Return the checkouts in which stages may run, by name."""
    found = {"this checkout": root}
    candidates = [*(root / RUNS / "worktrees").glob("*"), *(root / ".dvc" / "tmp" / "exps").glob("*/*")]
    for folder in sorted(candidates):
        if (folder / paths.GRAPH).is_file():
            found[re.sub(r"^ganflow-|-[0-9a-f]{8}$", "", folder.name)] = folder
    return found


def describe(name: str, folder: Path, held: set[tuple[int, int]] | None) -> dict[str, Any]:
    """Return one run: its stages, its training, the end of its log."""
    stages = _stages(folder, held)
    running = any(stage["name"] == "train" and stage["state"] == "running" for stage in stages)
    return {
        "name": name,
        "stages": stages,
        "training": training(read_events(folder / EVENTS), running, time.time()),
        "log": _tail(folder / LOG),
    }


def training(events: Sequence[Mapping[str, Any]], running: bool, now: float) -> dict[str, Any] | None:
    """Return how far a training is, its curves and pictures; None where none was recorded."""
    if not events or events[0]["event"] != "begin":
        return None
    begin = events[0]
    rows = {event["step"]: event for event in events if event["event"] == "row"}
    last = rows[max(rows)] if rows else {"step": 0}
    recent = [row for row in rows.values() if row["time"] >= begin["time"]][-RECENT:]
    speed = left = None
    if len(recent) > 1 and recent[-1]["time"] > recent[0]["time"]:
        steps = (recent[-1]["step"] - recent[0]["step"]) / (recent[-1]["time"] - recent[0]["time"])
        speed = steps * begin["images_per_step"]
        left = (begin["total"] - last["step"]) / steps if running and steps else None
    ended = any(event["event"] == "end" for event in events)
    columns = [name for name in begin["columns"] if name not in ("step", "images_seen")]
    return {
        "state": "running" if running else "ended" if ended else "stopped",
        "total": begin["total"],
        "step": last["step"],
        "seconds_since": now - last.get("time", begin["time"]),
        "images_per_second": speed,
        "seconds_left": left,
        "columns": columns,
        "rows": [
            [row["step"], *(row.get(name) for name in columns)] for row in _thinned(list(rows.values()))
        ],
        "pictures": [
            {"step": event["step"], "file": event["file"], "figures": event.get("figures", {})}
            for event in events
            if event["event"] == "picture"
        ],
    }


def picture(root: Path, name: str, file: str) -> Path | None:
    """Return the path of a fixed-latents picture of a run, None where there is none of that name."""
    folder = folders(root).get(name)
    if folder is None or not PICTURE.fullmatch(file):
        return None
    begin = next(iter(read_events(folder / EVENTS)), {})
    state = re.fullmatch(r"\.runs/train-[0-9a-f]+", str(begin.get("folder", "")))
    places = [folder / state[0] / "fixed_latents"] if state else []
    return next((p / file for p in [*places, folder / paths.FIXED_LATENTS] if (p / file).is_file()), None)


def _thinned(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return at most `POINTS` rows, evenly spread, the last among them."""
    if len(rows) <= POINTS:
        return rows
    return [rows[round(i * (len(rows) - 1) / (POINTS - 1))] for i in range(POINTS)]


def _stages(folder: Path, held: set[tuple[int, int]] | None) -> list[dict[str, str]]:
    """Return the stages in the order of dvc.yaml: `running`, `done`, `waiting`, or `idle` where none runs."""
    try:
        names = _names(folder / paths.GRAPH, (folder / paths.GRAPH).stat().st_mtime_ns)
    except (OSError, UserError, KeyError, TypeError):
        return []
    running = [name for name in names if _runs(folder / RUNS / f"{name}.lock", held)]
    if not running:
        return [{"name": name, "state": "idle"} for name in names]
    first = min(names.index(name) for name in running)
    begun = (folder / RUNS / f"{names[first]}.lock").stat().st_mtime
    stages = []
    for number, name in enumerate(names):
        usage = folder / RUNS / "usage" / f"{name}.json"
        since = usage.is_file() and usage.stat().st_mtime >= begun
        state = "running" if name in running else "done" if number < first or since else "waiting"
        stages.append({"name": name, "state": state})
    return stages


@lru_cache(maxsize=64)
def _names(graph: Path, changed: int) -> list[str]:
    """Return the stages of a dvc.yaml; a page asks every second or two, and parsing takes longest."""
    return list(read_yaml(graph)["stages"])


def _runs(lock: Path, held: set[tuple[int, int]] | None) -> bool:
    """Say whether a process holds a lock; without taking it, which would refuse a stage that begins now."""
    try:
        status = lock.stat()
    except OSError:
        return False
    if held is not None:
        return (status.st_dev, status.st_ino) in held
    try:
        os.kill(int(lock_holder(lock)), 0)
    except (ValueError, OSError):
        return False
    return True


def _held_locks() -> set[tuple[int, int]] | None:
    """Return (device, inode) of every file that is locked by flock(2); None where the kernel does not say."""
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return set(_files(lines))


def _files(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    for line in lines:
        if match := re.search(r"FLOCK .* ([0-9a-f]+):([0-9a-f]+):(\d+) ", line):
            yield os.makedev(int(match[1], 16), int(match[2], 16)), int(match[3])


def _tail(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 200 * LINES))
            return file.read().decode(errors="replace").splitlines()[-LINES:]
    except OSError:
        return []
