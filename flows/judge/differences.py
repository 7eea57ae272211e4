"""What changed since a revision's dvc.lock was recorded: params, code, data, packages, machine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.judge.rebuild_verdict import BITS_OF, Difference
from flows.repo import recorded_figures
from flows.repo.git import Git
from flows.repo.lock_file import LOCK, Record, changes, lies_in
from flows.system.pinned_environments import REQUIREMENTS, pins, unpinned
from gan.runtime import machine
from gan.urls import redacted

BEFORE = Path("reports/machine.json")  # where git kept the description of the machine
PORTABLE = "any x86-64 processor with AVX2"
Unmet = Mapping[str, tuple[str, str | None]]  # by package: the pin, and what is installed


def in_record(git: Git, commit: str, old: Record, new: Record, stages: Sequence[str]) -> list[Difference]:
    """Return the differences from dvc.lock in commands, params, code and data, by stage."""
    made, differences = old.outputs() | new.outputs(), []
    for name in stages:
        before, after = old.stages.get(name), new.stages.get(name)
        if before is None or after is None:
            continue
        if before.command != after.command:
            what = f"{before.command} recorded, {after.command} at this revision"
            differences.append(Difference(name, "command", what))
        differences += [
            Difference(name, "param", f"{key}: {redacted(was)} recorded, {redacted(now)} at this revision")
            for key, (was, now) in changes(before.params, after.params).items()
        ]
        differences += [
            Difference(name, "package", f"{key}: {was} recorded, {now} pinned at this revision")
            for key, (was, now) in changes(before.packages, after.packages).items()
            if before.packages  # records from before pins are held to requirements.txt, below
        ]
        inputs = [path for path in changes(before.inputs, after.inputs) if not lies_in(path, made)]
        tracked = git.tracked(commit, inputs)
        for path in inputs:
            last = git.ask("log", "-1", "--format=%h %s", commit, "--", path)
            what = f"{path}: not what was recorded" + (f"; last changed in {last}" if last else "")
            differences.append(Difference(name, "code" if path in tracked else "data", what))
    return differences


def in_packages(git: Git, commit: str, unmet: Unmet, record: Record) -> list[Difference]:
    """Return which packages of a stage are not those pinned: here, and when the record was made."""
    then = unpinned(recorded_figures.at(git, commit))
    here = {name: version or "none" for name, (_, version) in unmet.items()}
    return [
        Difference(name, "package", f"{package}: {pin} pinned, {ran} {when}")
        for name, stage in record.stages.items()
        for when, other in (("ran here", here), ("ran when this was recorded", then.get(name, {})))
        for package, pin in stage.packages.items()
        if (ran := other.get(package)) is not None
    ]


def in_environment(git: Git, commit: str, unmet: Unmet, record: Record, stage: str) -> list[Difference]:
    """Return which other packages are not those pinned, or were pinned otherwise when dvc.lock was recorded.

    Those that a stage names are told by `in_record` and `in_packages`.
    """
    named = record.packages()
    texts = [
        f"{name}: {pin} pinned at this revision, {here or 'none'} here"
        for name, (pin, here) in unmet.items()
        if name not in named
    ]
    last = git.ask("log", "-1", "--format=%H", commit, "--", LOCK)
    if last and last != commit:
        then, now = (pins(git.text(at, REQUIREMENTS)) for at in (last, commit))
        texts += [
            f"{name}: {was} when dvc.lock was recorded ({last[:10]}), {pin} now pinned"
            for name, (was, pin) in changes(then, now).items()
            if name not in named
        ]
    return [Difference(stage, "environment", text) for text in texts]


def machines(git: Git, commit: str, record: Record, tree: Path) -> dict[str, Any]:
    """Return what is known of the machine that recorded (None: nothing), and of this one.

    Since packages are pinned in dvc.lock, the evaluation says whose bits they are where not every x86-64
    processor with AVX2 gives them; before, git kept `train`'s description of the machine.
    """
    here = next((facts for path in (BEFORE, machine.MACHINE) if (facts := _object(tree / path))), None)
    if here is None:  # `train` has not run, or is of a version that does not say
        here = machine.describe(machine.accelerator())
        # The packages are those of the interpreter that asks; the stages may have had another.
        here = {key: here[key] for key in machine.HARDWARE}
    if not record.packages():
        text = git.blob(commit, str(BEFORE))
        then = _parsed(text)
        if then is not None and not then.get("accelerator") and "packages" not in here:
            here["accelerator"] = None  # it was not used there, so it is not here
        return {"recorded": then, "here": here}
    then, now = _parsed(recorded_figures.at(git, commit)) or {}, _parsed(recorded_figures.read(tree))
    bits = (now or {}).get(BITS_OF)
    could = {machine.bits_of(used) for used in (None, machine.accelerator())}
    if bits not in could and not (tree / machine.MACHINE).exists():  # those of the model, not made here
        bits = machine.bits_of(None)
    return {
        "recorded": {"bits": then.get(BITS_OF) or PORTABLE},
        "here": {key: here.get(key) for key in machine.HARDWARE} | {"bits": bits or PORTABLE},
    }


def _object(path: Path) -> dict[str, Any] | None:
    return _parsed(path.read_bytes()) if path.exists() else None


def _parsed(text: bytes | None) -> dict[str, Any] | None:
    try:
        content = json.loads(text or b"")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def other_hardware(facts: Mapping[str, Any]) -> bool:
    """Say whether the recording machine is known and has other hardware than this one."""
    return any(row.kind == "hardware" for row in in_machine(facts, ""))


def in_machine(facts: Mapping[str, Any], stage: str) -> list[Difference]:
    """Return how the recording machine differs from this one, in hardware and in computing packages."""
    then, now = facts["recorded"], facts["here"]
    if then is None:
        return []
    keys = ("bits",) if "bits" in then else machine.HARDWARE
    sides = [("hardware", [{key: side.get(key) for key in keys} for side in (then, now)])]
    if "packages" in now:
        computing = [{"python": side.get("python"), **(side.get("packages") or {})} for side in (then, now)]
        sides.append(("environment", computing))
    return [
        Difference(stage, kind, f"{key}: {_word(was)} recorded, {_word(is_)} here")
        for kind, (before, after) in sides
        for key, (was, is_) in changes(before, after).items()
    ]


def unexplained(stage: str, differences: Sequence[Difference], record: Record) -> list[Difference]:
    """Return an explanation for a stage that gave other bits although nothing recorded differs."""
    if any(row.stage == stage or row.kind in ("package", "environment", "hardware") for row in differences):
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
