"""The outcome of each stage, read from DVC's output, and its presentation."""

import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan import paths
from gan.errors import UserError
from gan.files import RUNS

RAN, RESTORED, UNCHANGED = "ran", "restored", "unchanged"
FAILED, NOT_RUN = "failed", "not run"
FULL = "database or disk is full"  # SQLite's message, which do not say where
TAIL = 15  # lines of a failed stage that are kept to be shown
RESULTS = {  # what people look at, where the pipeline has it
    "grid": paths.GRID,
    "metrics": paths.METRICS,
    "report": paths.REPORT,
    "page": RUNS / "report.html",  # the report, completed by flows.page
}
# DVC's advice on git, and what it says of its own files and locks
_ADVICE = re.compile(
    r"\s*$|To (track the changes with git|enable auto staging), run:|\tgit add |\tdvc config core\.autostage "
    r"|Use `dvc push` |(Generat|Updat)ing lock file |Waiting to acquire lock"
)


def is_advice(line: str) -> bool:
    """Say whether a line is only DVC's remark on git or on its own files."""
    return _ADVICE.match(line) is not None


@dataclass(frozen=True)
class Outcome:
    """The outcome of one stage."""

    stage: str
    outcome: str
    seconds: float | None = None
    reason: str = ""  # of a failure, one line
    tail: tuple[str, ...] = ()  # of a failure, the last lines that were printed
    passing: bool = False  # of a failure: the same again may go well later


class StageFailed(UserError):
    """A stage failed; the reason is the stage's own error line."""

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


class Reason:
    """Why a `dvc repro` failed, from the lines that it and its stage print."""

    def __init__(self) -> None:
        self.error = self.last = self.dvc = ""

    def read(self, line: str) -> None:
        """Take note of a line."""
        if line.startswith("error: "):
            self.error = line.removeprefix("error: ")
        elif line.startswith("ERROR: "):
            self.dvc = line.removeprefix("ERROR: ")
        elif line.strip() and not line.startswith(("Running stage ", "> ")):
            self.last = line

    def text(self, status: int) -> str:
        """Return it in one line: the stage's own `error:` line, else its last one.

        Where the stage itself went well, what failed is DVC, by what it says of it.
        """
        if self.dvc and "failed to run:" not in self.dvc:
            text = re.sub(r"^failed to reproduce '[^']*': ", "", self.dvc)
            return " ".join(text.replace(FULL, f".dvc/tmp: {FULL}").split())
        return " ".join((self.error or self.last or self.dvc or f"dvc ended with status {status}").split())


class Reader:
    """Reads the lines of `dvc repro --single-item STAGE`: what was done, and why it failed."""

    def __init__(self, stage: str) -> None:
        self.stage, self.outcome = stage, ""
        self._marks = {
            f"Stage '{stage}' didn't change, skipping": UNCHANGED,
            f"Stage '{stage}' is cached - skipping run, checking out outputs": RESTORED,
            f"Running stage '{stage}':": RAN,
        }
        self._reason = Reason()
        self._tail: deque[str] = deque(maxlen=TAIL)

    def read(self, line: str) -> bool:
        """Read a line; return whether to show it."""
        if is_advice(line):
            return False
        self._tail.append(line)
        # DVC's line comes first; whatever a stage prints later cannot be mistaken for it.
        self.outcome = self.outcome or self._marks.get(line, "")
        if self.outcome == RAN or line.startswith(("error: ", "ERROR: ")):
            self._reason.read(line)
        return True

    def failure(self, status: int, seconds: float) -> Outcome:
        """Return how it failed."""
        passing = self._reason.dvc.endswith(f"exited with {os.EX_TEMPFAIL}")
        return Outcome(self.stage, FAILED, seconds, self._reason.text(status), tuple(self._tail), passing)


def table(outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
    """Return the outcomes as rows of a table artifact."""
    return [
        {"stage": row.stage, "outcome": row.outcome, "seconds": _seconds(row), "reason": row.reason}
        for row in outcomes
    ]


def summary(outcomes: Sequence[Outcome], root: Path) -> str:
    """Return the summary for the terminal: each stage, and the results in ``root``."""
    wide = max((len(row.stage) for row in outcomes), default=0)
    lines = [f"  {row.stage:<{wide}}  {row.outcome:<9} {_seconds(row):>8}".rstrip() for row in outcomes]
    whole = all(row.outcome not in (FAILED, NOT_RUN) for row in outcomes)  # else they are of another run
    results = RESULTS.items() if whole else ()
    existing = [f"  {name:<8} {root / path}" for name, path in results if (root / path).exists()]
    return "\n".join(["", *lines, *([""] if existing else []), *existing, ""])


def _seconds(row: Outcome) -> str:
    return "" if row.seconds is None else f"{row.seconds:.1f} s"
