"""The steps of a rebuild: what runs again, what is taken as recorded, and what came of it."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flows import environments, graph, objects
from flows.commands import Commands
from flows.environment import environment
from flows.environments import REQUIREMENTS
from flows.git import Git, Revision
from flows.outcome import FAILED, NOT_RUN, Outcome
from flows.record import LOCK, Record, changes, few, kept, lies_in, read_record, words
from flows.verdict import (
    DIFFERENT,
    IDENTICAL,
    NOT_MADE,
    NOT_RECORDED,
    WITHIN,
    Output,
    compare_metrics,
)
from gan.errors import UserError


def recorded(git: Git, revision: Revision) -> Record:
    """Return what a revision recorded. Raises UserError where it recorded nothing."""
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
    found = {start}
    for name in stages:  # upstream ones come first
        if found & set(plan[name]):
            found.add(name)
    return [name for name in stages if name in found]


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
        return graph.cache_folder(self.git.root)

    def bring(self, stages: Iterable[str], *, all_of_them: bool) -> None:
        """Put the outs of stages (and of .dvc files) in place as recorded, from the cache or the remote.

        Raises UserError naming what is corrupt and, if ``all_of_them`` are needed, what is missing.
        """
        names = list(stages)
        if not names:
            return
        by_stage = kept(self.git, self.revision.commit, self.record)
        wanted = {path: md5 for name in names for path, md5 in by_stage.get(name, {}).items()}
        faults, said = objects.check(self.cache, wanted), ""
        if faults:
            said = graph.fetch(self.git.root, self.revision.commit, names)
            faults = objects.check(self.cache, wanted)
        objects.refuse(
            [fault for fault in faults if fault.what == "corrupt"],
            f"{self.revision.name}: not what was recorded",
            "delete these from the cache, and from the remote if they came from there",
        )
        if faults and all_of_them:
            where = f"nor in the remote ({said or 'it lacks them'})"
            added = [path for name in names if name.endswith(".dvc") for path in by_stage.get(name, {})]
            advice = "leave out --stage, and they are made again"
            if any(lies_in(fault.output, added) for fault in faults):
                advice = "no stage makes them: `dvc push` from where they were added"
            objects.refuse(faults, f"{self.revision.name}: neither in the cache {where}", advice)
        lines: list[str] = []
        checkout = [sys.executable, "-m", "dvc", "checkout", "--quiet", *names]
        checkout += [] if all_of_them else ["--allow-missing"]
        if Commands(self.tree, environment(self.tree)).run(checkout, lines.append):
            raise UserError(f"dvc checkout of {few(names)}: {' '.join(lines[-1:]) or 'it failed'}")

    def interpreter(self, same: bool) -> tuple[Path, str, dict[str, tuple[str, str | None]]]:
        """Return the Python to run stages with, what it is in words, and which pins it does not meet."""
        path = self.tree / REQUIREMENTS
        today = Path(sys.executable)
        if not path.is_file():
            return today, f"today's: the revision has no {REQUIREMENTS}", {}
        differ = environments.differences(environments.pins(path.read_text(encoding="utf-8")))
        if not differ:
            return today, f"today's, which has all that the revision's {REQUIREMENTS} pins", {}
        if same:
            return today, f"today's, as asked for; {len(differ)} packages are not as pinned", differ
        found = environments.restore(self.git.root, path)
        said = f"its own, by its {REQUIREMENTS} ({len(differ)} packages differ from today's)"
        return found, said, {}

    def judge(self, outcomes: Sequence[Outcome], tolerance: float | None) -> tuple[list[Output], Record]:
        """Hold the outputs of the stages that ran against the record; return them and the new record.

        They are compared by path: a stage that was renamed since made the same files. ``tolerance`` is
        for metrics, on other hardware; None: bits must be equal.
        """
        fresh = read_record((self.tree / LOCK).read_bytes(), f"the rebuilt {self.revision.name}")
        known, metrics = self.record.outputs(), graph.metrics(self.tree)
        found = []
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
                    allowed = tolerance if path in metrics else None
                    verdict, note = self._differing(path, was, allowed)
                found.append(Output(path, outcome.stage, verdict, note))
        return found, fresh

    def _differing(self, path: str, md5: str, tolerance: float | None) -> tuple[str, str]:
        """Judge an output with other bits, and say what of it differs as far as the old one is at hand."""
        new, cached = self.tree / path, objects.place(self.cache, md5)
        if new.is_dir():
            before = objects.listing(self.cache, md5)
            if before is None:
                return DIFFERENT, ""
            files = changes(before, objects.md5_tree(new))
            return DIFFERENT, few([words(name, *pair) for name, pair in files.items()])
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
