"""The steps of a rebuild: which stages run, what is restored, and the comparison with the record."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flows.judge.rebuild_verdict import (
    DIFFERENT,
    IDENTICAL,
    NOT_MADE,
    NOT_RECORDED,
    WITHIN,
    Output,
    compare_metrics,
)
from flows.judge.stage_outcomes import FAILED, NOT_RUN, Outcome
from flows.repo import cache_objects, dvc_graph
from flows.repo.git import Git, Revision
from flows.repo.lock_file import (
    LOCK,
    Record,
    changes,
    describe_change,
    dvc_outputs,
    few,
    lies_in,
    read_record,
)
from flows.system import pinned_environments
from flows.system.pinned_environments import REQUIREMENTS
from flows.system.processes import Commands, last_line
from flows.system.variables import environment
from gan.errors import UserError


def recorded(git: Git, revision: Revision) -> Record:
    """Return the record (dvc.lock) of a revision. Raises UserError if it has none."""
    text = git.blob(revision.commit, LOCK)
    record = read_record(text, revision.name) if text is not None else None
    if record is None or not any(stage.outputs for stage in record.stages.values()):
        raise UserError(
            f"{revision.name} ({revision.commit[:10]}): has no {LOCK}, so there is nothing recorded "
            "to compare with; `python -m flows.history` lists the revisions that have"
        )
    return record


def again(plan: Mapping[str, Sequence[str]], start: str | None, revision: str) -> list[str]:
    """Return the stages to run again: all, or ``start`` and what depends on it, in the plan's order."""
    stages = [name for name in plan if not name.endswith(".dvc")]
    if start is None:
        return stages
    if start not in stages:
        raise UserError(f"no stage {start} in dvc.yaml at {revision}; there are {', '.join(stages)}")
    affected = {start}
    for name in stages:  # upstream ones come first
        if affected & set(plan[name]):
            affected.add(name)
    return [name for name in stages if name in affected]


@dataclass(frozen=True)
class Rebuild:
    """A revision checked out in a worktree, beside the checkout whose cache it may read."""

    git: Git
    revision: Revision
    record: Record
    tree: Path

    @cached_property
    def cache(self) -> Path:
        """DVC's cache, that of the user's checkout."""
        return dvc_graph.cache_folder(self.git.root)

    def bring(self, stages: Iterable[str], *, all_of_them: bool) -> None:
        """Restore the recorded outs of stages (and of .dvc files) from the cache or the remote.

        Raises UserError that names corrupt objects and, with ``all_of_them``, missing ones.
        """
        names = list(stages)
        if not names:
            return
        by_stage = dvc_outputs(self.git, self.revision.commit, self.record)
        wanted = {path: md5 for name in names for path, md5 in by_stage.get(name, {}).items()}
        faults, reason = cache_objects.bring(self.git.root, self.revision.commit, wanted, names)
        cache_objects.refuse(
            [fault for fault in faults if fault.what == "corrupt"],
            f"{self.revision.name}: not what was recorded",
            f"`python -m flows.reproduce {self.revision.name} --restore` makes them anew; if they came from "
            "the remote, delete them there",
        )
        if faults and all_of_them:
            added = [path for name in names if name.endswith(".dvc") for path in by_stage.get(name, {})]
            advice = "leave out --stage, and they are made again"
            if any(lies_in(fault.output, added) for fault in faults):
                advice = "no stage makes them: `dvc push` from where they were added"
            cache_objects.refuse(
                faults, f"{self.revision.name}: neither in the cache nor in the remote ({reason})", advice
            )
        lines: list[str] = []
        checkout = [sys.executable, "-m", "dvc", "checkout", "--quiet", *names]
        checkout += [] if all_of_them else ["--allow-missing"]
        if Commands(self.tree, environment(self.tree)).run(checkout, lines.append):
            raise UserError(f"dvc checkout of {few(names)}: {' '.join(lines[-1:]) or 'it failed'}")

    def interpreter(self, same: bool) -> tuple[Path, str, dict[str, tuple[str, str | None]]]:
        """Return the Python to run stages with, its description, and the pins that it does not meet."""
        path = self.tree / REQUIREMENTS
        today = Path(sys.executable)
        if not path.is_file():
            return today, f"today's: the revision has no {REQUIREMENTS}", {}
        differ = pinned_environments.differences(pinned_environments.pins(path.read_text(encoding="utf-8")))
        if not differ:
            return today, f"today's, which has all that the revision's {REQUIREMENTS} pins", {}
        if same:
            return today, f"today's, as asked for; {len(differ)} packages are not as pinned", differ
        python = pinned_environments.restore(self.git.root, path)
        description = f"its own, by its {REQUIREMENTS} ({len(differ)} packages differ from today's)"
        return python, description, {}

    def judge(self, outcomes: Sequence[Outcome], tolerance: float | None) -> tuple[list[Output], Record]:
        """Compare the outputs of the stages that ran with the record; return them and the new record.

        They are compared by path, since a renamed stage makes the same files. ``tolerance``: for metrics, on
        other hardware; None: bits must be equal.
        """
        fresh = read_record((self.tree / LOCK).read_bytes(), f"the rebuilt {self.revision.name}")
        known, figures = self.record.outputs(), dvc_graph.figures(self.tree)
        outputs = []
        for outcome in outcomes:
            made = outcome.outcome not in (FAILED, NOT_RUN)
            record = fresh if made else self.record
            stage = record.stages.get(outcome.stage)
            for path, md5 in stage.outputs.items() if stage else ():
                before, was = known.get(path, (outcome.stage, None))
                note = f"recorded for stage {before}" if before != outcome.stage else ""
                if not made:
                    verdict, note = NOT_MADE, outcome.reason
                elif was is None:
                    verdict = NOT_RECORDED
                elif was == md5:
                    verdict = IDENTICAL
                else:
                    allowed = tolerance if path in figures else None
                    verdict, note = self._differing(path, was, allowed)
                outputs.append(Output(path, outcome.stage, verdict, note))
        return outputs, fresh

    def restore(self, outputs: Sequence[Output]) -> int:
        """Put what was rebuilt, and is what was recorded, into the cache where it is missing or corrupt.

        Returns how many objects that were. Raises UserError where there are still some after it.
        """
        known = self.record.outputs()
        by_stage = dvc_outputs(self.git, self.revision.commit, self.record)
        by_dvc = {path for outs in by_stage.values() for path in outs}
        same = [output for output in outputs if output.verdict == IDENTICAL and output.path in by_dvc]
        wanted = {output.path: known[output.path][1] for output in same}
        faults = cache_objects.check(self.cache, wanted)
        if not faults:
            return 0
        for fault in faults:
            if fault.what == "corrupt":  # DVC would take it for what its name says
                fault.path.unlink()
        lines: list[str] = []
        stages = list(dict.fromkeys(output.stage for output in same))
        argv = [sys.executable, "-m", "dvc", "commit", "--force", "--quiet", *stages]
        status = Commands(self.tree, environment(self.tree)).run(argv, lines.append)
        left = cache_objects.check(self.cache, wanted)
        if status or left:
            names = few([fault.describe() for fault in left], 3)
            message = last_line(lines, "DVC said nothing")
            raise UserError(f"{self.revision.name}: not restored: {names or 'its outputs'} ({message})")
        return len(faults)

    def _differing(self, path: str, md5: str, tolerance: float | None) -> tuple[str, str]:
        """Return the verdict on an output with other bits, and what differs if the old one is available."""
        new, cached = self.tree / path, cache_objects.object_path(self.cache, md5)
        if new.is_dir():
            before = cache_objects.listing(self.cache, md5)
            if before is None:
                return DIFFERENT, ""
            files = changes(before, cache_objects.md5_tree(new))
            return DIFFERENT, few([describe_change(name, *pair) for name, pair in files.items()])
        old = self.git.blob(self.revision.commit, path)
        if old is None and cached.is_file():
            old = cached.read_bytes()
        values = None if old is None else compare_metrics(old, new.read_bytes(), tolerance)
        if values is None:
            return DIFFERENT, ""
        beyond = [value for value, within in values.items() if not within]
        if tolerance is not None and not beyond:
            return WITHIN, few(list(values), 8)
        return DIFFERENT, few(beyond)
