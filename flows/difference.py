"""What is not as it was when a revision's dvc.lock was recorded: params, code, data, packages, machine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.environments import REQUIREMENTS, pins
from flows.git import Git
from flows.record import LOCK, Record, changes, lies_in
from flows.verdict import Difference
from gan import machine


def in_record(git: Git, commit: str, old: Record, new: Record, stages: Sequence[str]) -> list[Difference]:
    """Return what dvc.lock says otherwise: commands, params, code, data, by stage."""
    made, found = old.outputs() | new.outputs(), []
    for name in stages:
        before, after = old.stages.get(name), new.stages.get(name)
        if before is None or after is None:
            continue
        if before.command != after.command:
            what = f"{before.command} recorded, {after.command} at this revision"
            found.append(Difference(name, "command", what))
        found += [
            Difference(name, "param", f"{key}: {was} recorded, {now} at this revision")
            for key, (was, now) in changes(before.params, after.params).items()
        ]
        inputs = [path for path in changes(before.inputs, after.inputs) if not lies_in(path, made)]
        tracked = git.tracked(commit, inputs)
        for path in inputs:
            last = git.ask("log", "-1", "--format=%h %s", commit, "--", path)
            what = f"{path}: not what was recorded" + (f"; last changed in {last}" if last else "")
            found.append(Difference(name, "code" if path in tracked else "data", what))
    return found


def in_environment(
    git: Git, commit: str, unmet: Mapping[str, tuple[str, str | None]], stage: str
) -> list[Difference]:
    """Return which packages are not those pinned, or were pinned otherwise when dvc.lock was recorded."""
    texts = [
        f"{name}: {pin} pinned at this revision, {here or 'none'} here" for name, (pin, here) in unmet.items()
    ]
    last = git.ask("log", "-1", "--format=%H", commit, "--", LOCK)
    if last and last != commit:
        then, now = (pins(git.text(at, REQUIREMENTS)) for at in (last, commit))
        texts += [
            f"{name}: {was} when dvc.lock was recorded ({last[:10]}), {pin} now pinned"
            for name, (was, pin) in changes(then, now).items()
        ]
    return [Difference(stage, "environment", text) for text in texts]


def machines(git: Git, commit: str, tree: Path) -> dict[str, Any]:
    """Return the machine that a revision names (None: it names none), and this one (as `train` put it)."""
    text = git.blob(commit, str(machine.MACHINE))
    try:
        then = json.loads(text) if text else None
    except ValueError:
        then = None
    then = then if isinstance(then, dict) else None
    written = tree / machine.MACHINE
    if written.exists():
        return {"recorded": then, "here": json.loads(written.read_text(encoding="utf-8"))}
    used = then is not None and then.get("accelerator")
    here = machine.describe(machine.accelerator() if used else None)
    # The packages are those of the interpreter that asks; the stages may have had another.
    return {"recorded": then, "here": {key: here[key] for key in machine.HARDWARE}}


def other_hardware(facts: Mapping[str, Any]) -> bool:
    """Say whether the machine that recorded is known, and is of other hardware than this one."""
    return any(row.kind == "hardware" for row in in_machine(facts, ""))


def in_machine(facts: Mapping[str, Any], stage: str) -> list[Difference]:
    """Return how the machine that recorded differs from this one, in hardware and in what computes."""
    then, now = facts["recorded"], facts["here"]
    if then is None:
        return []
    sides = [("hardware", [{key: side.get(key) for key in machine.HARDWARE} for side in (then, now)])]
    if "packages" in now:
        computing = [{"python": side.get("python"), **(side.get("packages") or {})} for side in (then, now)]
        sides.append(("environment", computing))
    return [
        Difference(stage, kind, f"{key}: {_word(was)} recorded, {_word(is_)} here")
        for kind, (before, after) in sides
        for key, (was, is_) in changes(before, after).items()
    ]


def unexplained(stage: str, differences: Sequence[Difference], record: Record) -> list[Difference]:
    """Say what can be said where a stage gave other bits and nothing that is recorded differs."""
    if any(row.stage == stage or row.kind in ("environment", "hardware") for row in differences):
        return []
    same = "command, code and params are those recorded"
    entry, made = record.stages.get(stage), record.outputs()
    if entry is not None and not any(lies_in(path, made) for path in entry.inputs):
        return [Difference(stage, "data", f"{same}: what it reads from outside has changed")]
    return [
        Difference(
            stage, "unknown", f"{same}, and so are its inputs: it does not give the same bits twice here"
        )
    ]


def _word(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "none")
