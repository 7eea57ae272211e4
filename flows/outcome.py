"""What became of each stage, read from what DVC prints, and how that is told."""

import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan.errors import UserError

RAN, RESTORED, UNCHANGED = "ran", "restored", "unchanged"
FAILED, NOT_RUN = "failed", "not run"
TAIL = 15  # lines of a failed stage that are kept to be shown
RESULTS = {  # what people look at, where the pipeline has it
    "grid": "samples/grid.png",
    "metrics": "reports/metrics.json",
    "report": "reports/index.html",
    "page": ".runs/report.html",  # the report, completed by flows.page
}
# DVC's advice on git, and what it says of its own files and locks
_ADVICE = re.compile(
    r"\s*$|To (track the changes with git|enable auto staging), run:|\tgit add |\tdvc config core\.autostage "
    r"|Use `dvc push` |(Generat|Updat)ing lock file |Waiting to acquire lock"
)


def is_advice(line: str) -> bool:
    """Say whether a line is only what DVC says of git and of its own files."""
    return _ADVICE.match(line) is not None


@dataclass(frozen=True)
class Outcome:
    """What became of one stage."""

    stage: str
    outcome: str
    seconds: float | None = None
    reason: str = ""  # of a failure, one line
    tail: tuple[str, ...] = ()  # of a failure, the last lines that were printed
    passing: bool = False  # of a failure: the same again may go well later


class StageFailed(UserError):
    """A stage failed; its reason is the line in which it said so itself."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"stage {outcome.stage} failed: {outcome.reason}")
        self.outcome = outcome


class PipelineFailed(UserError):
    """At least one stage failed; names each, and keeps the outcomes of all."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        failed = [outcome for outcome in outcomes if outcome.outcome == FAILED]
        rest = [outcome.stage for outcome in outcomes if outcome.outcome == NOT_RUN]
        text = "; ".join(f"stage {outcome.stage} failed: {outcome.reason}" for outcome in failed)
        super().__init__(text + (f" (so not run: {', '.join(rest)})" if rest else ""))
        self.outcomes = list(outcomes)


class Reader:
    """Reads the lines of `dvc repro --single-item STAGE`: what was done, and why it failed."""

    def __init__(self, stage: str) -> None:
        self.stage, self.outcome = stage, ""
        self._marks = {
            f"Stage '{stage}' didn't change, skipping": UNCHANGED,
            f"Stage '{stage}' is cached - skipping run, checking out outputs": RESTORED,
            f"Running stage '{stage}':": RAN,
        }
        self._error = self._last = self._dvc = ""
        self._tail: deque[str] = deque(maxlen=TAIL)

    def read(self, line: str) -> bool:
        """Take note of a line; say whether it is worth showing."""
        if is_advice(line):
            return False
        self._tail.append(line)
        # DVC's line comes first; whatever a stage prints later cannot be mistaken for it.
        self.outcome = self.outcome or self._marks.get(line, "")
        if line.startswith("error: "):
            self._error = line.removeprefix("error: ")
        elif line.startswith("ERROR: "):
            self._dvc = line.removeprefix("ERROR: ")
        elif self.outcome == RAN and not line.startswith(("Running stage ", "> ")):
            self._last = line
        return True

    def failure(self, status: int, seconds: float) -> Outcome:
        """Return how it failed: by the stage's own `error:` line, else its last one, else DVC's."""
        found = self._error or self._last.strip() or self._dvc or f"dvc ended with status {status}"
        passing = self._dvc.endswith(f"exited with {os.EX_TEMPFAIL}")
        return Outcome(self.stage, FAILED, seconds, " ".join(found.split()), tuple(self._tail), passing)


def table(outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
    """Return the outcomes as rows of a table artifact."""
    return [
        {"stage": row.stage, "outcome": row.outcome, "seconds": _seconds(row), "reason": row.reason}
        for row in outcomes
    ]


def summary(outcomes: Sequence[Outcome], root: Path) -> str:
    """Return what the terminal shows at the end: each stage, and which results are in ``root``."""
    wide = max((len(row.stage) for row in outcomes), default=0)
    lines = [f"  {row.stage:<{wide}}  {row.outcome:<9} {_seconds(row):>8}".rstrip() for row in outcomes]
    found = [f"  {name:<8} {root / path}" for name, path in RESULTS.items() if (root / path).exists()]
    return "\n".join(["", *lines, *([""] if found else []), *found, ""])


def _seconds(row: Outcome) -> str:
    return "" if row.seconds is None else f"{row.seconds:.1f} s"
