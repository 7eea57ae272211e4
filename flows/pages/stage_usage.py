"""Time, memory and energy of each stage, from the records that stages write to .runs/usage."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.repo.lock_file import Record
from gan.files import RUNS

COMMIT, COMMIT_RATE = 10.0, 50e6  # seconds, and bytes a second, in which DVC puts outs into its cache


@dataclass(frozen=True)
class Used:
    """Usage of one stage as text, or why it is unknown."""

    stage: str
    wall: str = ""
    cpu: str = ""
    memory: str = ""
    energy: str = ""
    note: str = ""


def used(folder: Path, record: Record) -> list[Used]:
    """Return the usage of each stage of a dvc.lock, and the total."""
    stages, measured = [], []
    for name, stage in record.stages.items():
        facts = _read(folder / RUNS / "usage" / f"{name}.json")
        if facts is None:
            stages.append(Used(name, note="not run here"))
        elif not _made(folder, stage.outputs, facts):
            stages.append(Used(name, note="not measured: its files are of another run, or from the cache"))
        else:
            stages.append(_describe(name, facts))
            measured.append(facts)
    return [*stages, _total(measured)] if measured else stages


def _read(path: Path) -> dict[str, Any] | None:
    """Return a record; None if it is missing or incomplete."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        numbers = [float(facts[key]) for key in ("started", "ended", "seconds", "cpu_seconds")]
        return facts if int(facts["peak_rss_bytes"]) >= 0 and min(numbers) >= 0 else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _made(folder: Path, outputs: Mapping[str, str], facts: Mapping[str, Any]) -> bool:
    """Say whether the recorded run wrote these outputs, judged by file times.

    DVC rewrites a file when it restores it from its cache, right after the run or later.
    """
    files = [stat for path in outputs for stat in _files(folder / path)]
    earliest, size = facts["started"] - 2, sum(stat.st_size for stat in files)
    latest = facts["ended"] + COMMIT + size / COMMIT_RATE
    return bool(files) and all(earliest <= stat.st_mtime <= latest for stat in files)


def _files(path: Path) -> Iterator[os.stat_result]:
    files = path.rglob("*") if path.is_dir() else [path]
    yield from (file.stat() for file in files if file.is_file())


def _describe(name: str, facts: Mapping[str, Any]) -> Used:
    notes = []
    if "steps" in facts:
        notes.append(f"{facts['steps']} steps")
    if facts.get("resumed_at"):
        notes.append(f"the first {facts['resumed_at']} in an earlier run, which is not counted")
    return Used(
        name,
        duration(facts["seconds"]),
        duration(facts["cpu_seconds"]),
        f"{facts['peak_rss_bytes'] / 1e6:,.0f} MB",
        _energy(facts.get("joules")),
        ", ".join(notes),
    )


def _total(known: list[dict[str, Any]]) -> Used:
    """Return the total; stages that ran in parallel count once in time and twice in energy."""
    wall, end, side_by_side = 0.0, 0.0, False
    for facts in sorted(known, key=lambda facts: float(facts["started"])):
        side_by_side |= facts["started"] < end
        wall += max(0.0, facts["ended"] - max(end, facts["started"]))
        end = max(end, facts["ended"])
    joules: dict[str, float] = {}
    for facts in known:
        for user, value in (facts.get("joules") or {}).items():
            joules[user] = joules.get(user, 0.0) + value
    energy = _energy(joules) if all(facts.get("joules") for facts in known) else ""
    return Used(
        "together",
        duration(wall),
        duration(sum(facts["cpu_seconds"] for facts in known)),
        f"{max(facts['peak_rss_bytes'] for facts in known) / 1e6:,.0f} MB",
        f"at most {energy}" if energy and side_by_side else energy,
        "some stages ran side by side" if side_by_side else "",
    )


def duration(seconds: float) -> str:
    """Return a duration as text."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _energy(joules: Mapping[str, float] | None) -> str:
    """Return energy as text, by device; empty if no counter measured it."""
    return ", ".join(f"{_joules(value)} {user}" for user, value in (joules or {}).items())


def _joules(value: float) -> str:
    return (
        f"{value:.3g} J"
        if value < 1000
        else f"{value / 1000:.3g} kJ"
        if value < 3.6e5
        else f"{value / 3.6e6:.3g} kWh"
    )
