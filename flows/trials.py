"""One trial of a sweep: a revision with other params, run in a worktree, kept as a DVC experiment.

A module of its own, so that a worker of Dask or Ray imports it by name.
"""

import json
import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import commit, logs, overrides, places, runs
from flows.commands import Commands
from flows.environment import environment
from flows.git import Git
from flows.lineage import METRICS, SCORER
from flows.outcome import is_advice
from flows.search import Plan
from flows.turn import turn
from flows.worktree import worktree
from gan.errors import UserError
from gan.files import CHECKOUT

DONE, THERE, FAILED = "done", "there already", "failed"
_live: set[Commands] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class Trial:
    """What became of a trial."""

    plan: Plan
    outcome: str
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    reason: str = ""
    scorer: str | None = None  # the extractor through which they were measured


def ref(base: str, name: str) -> str:
    """Return where DVC looks for an experiment of this name that began at a commit."""
    return f"refs/exps/{base[:2]}/{base[2:]}/{name}"


@task(task_run_name="{plan.name}", cache_policy=NO_CACHE)
def trial(root: str, base: str, plan: Plan, side_by_side: int, hours: float) -> Trial:
    """Run all stages with the plan's params at the commit ``base``; keep the result as an experiment.

    A failure is an outcome, so that the other trials go on. A trial that is there already is not run.
    """
    logs.shorten()
    folder, started = places.project(root), time.monotonic()
    git = Git(folder)
    known = git.ask("rev-parse", "--verify", "--quiet", ref(base, plan.name))
    if known:
        return _measured(Trial(plan, THERE), git.text(known, METRICS))
    states = runs.states(folder, plan.name)
    try:
        with (
            turn(folder, side_by_side) as place,
            worktree(git, base, f"trial-{place}", states) as tree,
        ):
            overrides.apply(tree, plan.values, plan.name)
            _reproduce(folder, tree, hours)
            found = commit.write(tree, base, f"{plan.name}: {plan.words()}\n")
            commit.place(git, ref(base, plan.name), found, "sweep")
    except UserError as error:
        logs.logger().error("%s: %s", plan.name, error)
        return Trial(plan, FAILED, {}, round(time.monotonic() - started, 1), str(error))
    shutil.rmtree(states, ignore_errors=True)
    seconds = round(time.monotonic() - started, 1)
    return _measured(Trial(plan, DONE, seconds=seconds), git.text(found, METRICS))


def stop() -> None:
    """Stop every trial that runs in this process, and wait until it has."""
    with _lock:
        found = list(_live)
    for commands in found:
        commands.stop()
    for commands in found:
        commands.wait()


def _reproduce(folder: Path, tree: Path, hours: float) -> None:
    commands = Commands(tree, environment(tree) | {CHECKOUT: os.fspath(folder)})
    timer = threading.Timer(hours * 3600, commands.stop, [f"stopped: more than {hours:g} hours"])
    timer.daemon = True
    said, log = "", logs.logger()

    def take(line: str) -> None:
        nonlocal said
        said = line.removeprefix("error: ") if line.startswith("error: ") or not said else said
        if not is_advice(line):
            log.info("%s", line)

    with _lock:
        _live.add(commands)
    timer.start()
    over = _stop_when_unwanted(commands)
    try:
        if commands.run([sys.executable, "-m", "dvc", "repro"], take):
            raise UserError(said or "dvc repro said nothing")
    finally:
        timer.cancel()
        over.set()
        with _lock:
            _live.discard(commands)


def _stop_when_unwanted(commands: Commands) -> threading.Event:
    """On a Dask worker, stop the commands when the sweep that wanted the trial is gone; until the event.

    A scheduler forgets the tasks of a client that died, but a thread that runs one is not told.
    """
    over = threading.Event()
    try:
        from distributed import get_worker
        from distributed.worker import thread_state  # type: ignore[attr-defined]

        worker, key = get_worker(), thread_state.key
    except (ImportError, ValueError, AttributeError):  # not there, or not on a worker
        return over

    def watch() -> None:
        while not over.wait(1):
            known = worker.state.tasks.get(key)
            if known is None or known.state != "executing":
                commands.stop("the sweep is gone")

    threading.Thread(target=watch, daemon=True).start()
    return over


def _measured(trial: Trial, text: str) -> Trial:
    """Return the trial with what its reports/metrics.json says."""
    try:
        found: dict[str, Any] = json.loads(text or "{}")
    except ValueError:
        return trial
    numbers = {key: value for key, value in found.items() if isinstance(value, float | int)}
    return replace(trial, metrics=numbers, scorer=found.get(SCORER))
