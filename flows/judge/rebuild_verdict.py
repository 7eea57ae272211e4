"""The verdict on a rebuilt revision: each output compared with dvc.lock, and the differences."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flows.repo.lock_file import changes, flatten

IDENTICAL, WITHIN, DIFFERENT = "identical", "within tolerance", "different"
NOT_MADE, NOT_RECORDED, FAILED = "not made", "not recorded", "failed"
STATUS = {
    IDENTICAL: 0,
    FAILED: 1,
    NOT_RECORDED: 1,
    WITHIN: 3,
    DIFFERENT: 4,
}  # exit statuses; 2 is a wrong command line
BITS_OF = "bits_of"  # in the metrics: on what hardware they were made, which is told as such


@dataclass(frozen=True)
class Output:
    """One output of a stage and its verdict."""

    path: str
    stage: str
    verdict: str
    note: str = ""


@dataclass(frozen=True)
class Difference:
    """A difference from the record: the stage, the kind, and what it is."""

    stage: str
    kind: str  # param | package | command | code | data | environment | hardware | unknown
    what: str


@dataclass(frozen=True)
class Verdict:
    """The whole result of one rebuilt revision."""

    revision: str
    commit: str
    note: str
    verdict: str
    stage: str | None  # the first that differs or failed
    outputs: list[Output]
    differences: list[Difference]
    stages: dict[str, str]  # what became of each
    machine: dict[str, Any]  # recorded, None where it is not; here
    environment: str
    tolerance: float
    options: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as verdict.json holds it."""
        return asdict(self)

    def counted(self) -> str:
        """Return the counts, such as `20 identical, 1 different`."""
        kinds = [output.verdict for output in self.outputs]
        return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "no output"

    def headline(self) -> str:
        """Return the verdict in one line."""
        where = f", from stage {self.stage} on" if self.stage else ""
        name = "" if self.commit.startswith(self.revision) else f" {self.revision}"
        return f"{self.commit[:10]}{name}: {self.verdict}{where} ({self.counted()})"


def overall(outputs: Sequence[Output], metrics: Sequence[str], other_hardware: bool) -> str:
    """Return the verdict on all outputs: metrics decide where the hardware differs."""
    kinds = {output.verdict for output in outputs}
    if NOT_MADE in kinds:
        return FAILED
    if not kinds - {NOT_RECORDED}:  # nothing was compared
        return NOT_RECORDED
    if not kinds - {IDENTICAL, NOT_RECORDED}:
        return IDENTICAL
    judged = {output.verdict for output in outputs if output.path in metrics}
    if other_hardware and judged and not judged - {IDENTICAL, WITHIN}:
        return WITHIN
    return DIFFERENT


def first_stage(outputs: Sequence[Output], order: Sequence[str]) -> str | None:
    """Return the first stage with an output that differs from the record."""
    off = {output.stage for output in outputs if output.verdict not in (IDENTICAL, NOT_RECORDED)}
    return next((stage for stage in order if stage in off), None)


def compare_metrics(recorded: bytes, rebuilt: bytes, tolerance: float | None) -> dict[str, bool] | None:
    """Return the values of two JSON files that differ, and whether each is within ``tolerance``.

    Returns None if they cannot be compared. A number may differ by ``tolerance`` (None: not at all) times
    its recorded size, or times 1 if that is smaller. SHA-256 values of files are skipped, because those
    files have their own verdicts. So is the hardware, because it is a cause and no metric.
    """
    try:
        before, after = (flatten(json.loads(text)) for text in (recorded, rebuilt))
    except (ValueError, AttributeError):
        return None
    return {
        f"{key} {old} -> {new}": _close(old, new, tolerance or 0.0)
        for key, (old, new) in changes(before, after).items()
        if key != BITS_OF and not (_is_hash(old) and _is_hash(new))
    }


def _close(old: object, new: object, tolerance: float) -> bool:
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return abs(old - new) <= tolerance * max(1.0, abs(old))
    return False


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def markdown(verdict: Verdict) -> str:
    """Return the verdict as a page to read."""
    lines = [f"# {verdict.revision}: {verdict.verdict}", "", verdict.headline() + "."]
    if verdict.note:
        lines += ["", f"Of the name: {verdict.note}."]
    if verdict.verdict == WITHIN:
        lines += ["", f"Metrics are within {verdict.tolerance:g} of those recorded, on other hardware."]
    if verdict.differences:
        lines += ["", "## Not as recorded", "", "| stage | kind | what |", "|---|---|---|"]
        lines += [f"| {row.stage} | {row.kind} | {_cell(row.what)} |" for row in verdict.differences]
    lines += ["", "## Outputs", "", "| stage | output | verdict | |", "|---|---|---|---|"]
    lines += [
        f"| {row.stage} | {_cell(row.path)} | {row.verdict} | {_cell(row.note)} |" for row in verdict.outputs
    ]
    lines += ["", "## Stages", "", "| stage | what became of it |", "|---|---|"]
    lines += [f"| {name} | {_cell(what)} |" for name, what in verdict.stages.items()]
    lines += ["", "## Where", "", f"- Environment: {verdict.environment}"]
    for name in ("recorded", "here"):
        lines.append(f"- Machine, {name}: {_machine(verdict.machine.get(name))}")
    if verdict.options:
        lines.append(f"- Options: {' '.join(verdict.options)}")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _machine(facts: Mapping[str, Any] | None) -> str:
    if not facts:
        return "not known"
    python = facts.get("python")
    fields = [str(facts[key]) for key in ("system", "processor", "accelerator", "bits") if facts.get(key)]
    return ", ".join([*fields, f"Python {python}"] if python else fields)
