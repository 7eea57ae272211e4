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

from flows.judge.stage_outcomes import Reason, is_advice
from flows.orchestration import run_context
from flows.orchestration.secrets import plain_values
from flows.repo import checkout, commit, param_overrides, recorded_figures
from flows.repo.git import Git
from flows.repo.lineage import SCORER
from flows.repo.worktree import worktree
from flows.system import logs, pinned_environments
from flows.system.machine_lock import machine_slot
from flows.system.processes import Commands
from flows.system.variables import environment
from flows.tasks.search_space import Plan
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
def trial(root: str, base: str, plan: Plan, side_by_side: int, hours: float, unpinned: bool = False) -> Trial:
    """Run all stages with the plan's params at the commit ``base``; keep the result as an experiment.

    A failure is an outcome, so that the other trials go on. A trial that is there already is not run.
    ``unpinned``: go on where this worker's packages are not as pinned.
    """
    logs.shorten()
    folder, started = checkout.project(root), time.monotonic()
    git = Git(folder)
    known = git.ask("rev-parse", "--verify", "--quiet", ref(base, plan.name))
    if known:
        return _measured(Trial(plan, THERE), recorded_figures.at(git, known))
    states = run_context.states(folder, plan.name)
    try:
        with (
            machine_slot(folder, side_by_side) as slot,
            worktree(git, base, f"trial-{slot}", states) as tree,
        ):
            param_overrides.apply(tree, plain_values(plan.values), plan.name)
            pinned_environments.hold(tree, unpinned)
            _reproduce(folder, tree, hours, pinned_environments.stage_variables(unpinned))
            trial_commit = commit.write(tree, base, _message(plan, tree))
            commit.create_ref(git, ref(base, plan.name), trial_commit, "sweep")
    except UserError as error:
        logs.logger().error("%s: %s", plan.name, error)
        return Trial(plan, FAILED, {}, round(time.monotonic() - started, 1), str(error))
    shutil.rmtree(states, ignore_errors=True)
    seconds = round(time.monotonic() - started, 1)
    return _measured(Trial(plan, DONE, seconds=seconds), recorded_figures.at(git, trial_commit))


def stop() -> None:
    """Stop every trial that runs in this process, and wait until it has."""
    with _lock:
        running = list(_live)
    for commands in running:
        commands.stop()
    for commands in running:
        commands.wait()


def _message(plan: Plan, tree: Path) -> str:
    """Return what the experiment's commit says: the params, and which packages were not as pinned."""
    other = pinned_environments.unpinned(recorded_figures.read(tree))
    lines = [f"unpinned, {text}" for text in pinned_environments.as_texts(other)]
    return "\n".join([f"{plan.name}: {plan.describe()}", *(["", *lines] if lines else []), ""])


def _reproduce(folder: Path, tree: Path, hours: float, pinned: dict[str, str]) -> None:
    commands = Commands(tree, environment(tree) | {CHECKOUT: os.fspath(folder)} | pinned)
    timer = threading.Timer(hours * 3600, commands.stop, [f"stopped: more than {hours:g} hours"])
    timer.daemon = True
    reason, log = Reason(), logs.logger()

    def take(line: str) -> None:
        if not is_advice(line):
            reason.read(line)
            log.info("%s", line)

    with _lock:
        _live.add(commands)
    timer.start()
    over = _stop_when_unwanted(commands)
    try:
        if status := commands.run([sys.executable, "-m", "dvc", "repro"], take):
            raise UserError(reason.text(status))
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


def _measured(trial: Trial, figures: bytes | None) -> Trial:
    """Return the trial with what its evaluation says."""
    try:
        metrics: dict[str, Any] = json.loads(figures or b"{}")
    except ValueError:
        return trial
    numbers = {key: value for key, value in metrics.items() if isinstance(value, float | int)}
    return replace(trial, metrics=numbers, scorer=metrics.get(SCORER))
