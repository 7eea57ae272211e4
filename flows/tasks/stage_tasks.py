"""Stages of dvc.yaml as Prefect tasks; independent stages run in parallel."""

import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait

from flows.judge.stage_outcomes import FAILED, NOT_RUN, RAN, UNCHANGED, Outcome, Reader, StageFailed
from flows.orchestration import artifacts
from flows.orchestration.stage_progress import Progress
from flows.repo import dvc_graph
from flows.system import logs
from flows.system.processes import Commands

FORCE = ("--force",)  # run, whatever has changed
# Run for the sake of the hashes alone: nothing comes out of a cache, and nothing goes into one.
AFRESH = (*FORCE, "--no-commit", "--no-run-cache")


# NO_CACHE: DVC is the only cache.
@task(task_run_name="{stage}", cache_policy=NO_CACHE)
def reproduce_stage(
    commands: Commands, root: Path, stage: str, options: Sequence[str] = (), delays: Sequence[float] = ()
) -> Outcome:
    """Reproduce one stage with DVC, its output in the run's log. Raises StageFailed.

    ``options``: those of `dvc repro` (FORCE, AFRESH). A temporary failure (a server that does not answer)
    is retried after each of ``delays``, in seconds.
    """
    started, log = time.monotonic(), logs.logger()
    if "--force" not in options and not dvc_graph.changed(root, stage):
        log.info("Stage '%s' didn't change, skipping", stage)
        return Outcome(stage, UNCHANGED, round(time.monotonic() - started, 2))
    for delay in (*delays, None):
        outcome = _once(commands, stage, options, started)
        if outcome.outcome != FAILED:
            return outcome
        if delay is None or not outcome.passing:
            break
        log.warning("%s: tried again in %g s", outcome.reason, delay)
        commands.rest(delay)
    raise StageFailed(outcome)


def _once(commands: Commands, stage: str, options: Sequence[str], started: float) -> Outcome:
    log, reader, progress = logs.logger(), Reader(stage), Progress(stage)

    def take(line: str) -> None:
        progress.read(line)
        if reader.read(line):
            log.info("%s", line)

    repro = ["--wait-for-lock", "repro", "--single-item", *options, stage]
    status = commands.run([sys.executable, "-m", "dvc", *repro], take)
    seconds = round(time.monotonic() - started, 2)
    return reader.failure(status, seconds) if status else Outcome(stage, reader.outcome or RAN, seconds)


@dataclass(frozen=True)
class How:
    """How stages are run."""

    variables: Mapping[str, str]
    options: Sequence[str] = ()  # of `dvc repro`: FORCE, AFRESH
    forced: Collection[str] = ()  # stages to run though nothing changed
    delays: Sequence[float] = ()  # seconds before what may pass by itself is tried again
    limit: float | None = None  # seconds for all of them


def run_stages(plan: Mapping[str, Sequence[str]], root: Path, how: How) -> list[Outcome]:
    """Reproduce the stages of ``plan`` (each with those it needs) in a flow; return each one's outcome.

    Where a stage fails, what depends on it is not run, and everything else is. dvc.lock gets its new
    entries in DVC's own order. However it ends, no process is left that was started here.
    """
    before = dvc_graph.locked(root)
    commands = Commands(root, how.variables)
    futures: dict[str, Any] = {}
    try:
        with _at_most(how.limit, commands):
            for stage, needed in plan.items():
                upstream = [futures[name] for name in needed if name in futures]
                options = FORCE if stage in how.forced else how.options
                futures[stage] = reproduce_stage.submit(
                    commands, root, stage, options, how.delays, wait_for=upstream, return_state=False
                )
            wait(list(futures.values()))
    finally:  # Ctrl-C, SIGTERM and cancelling raise here
        commands.stop()
        commands.wait()
    outcomes = [_outcome(stage, future) for stage, future in futures.items()]
    dvc_graph.order_lock(root, before, list(plan))
    artifacts.outcomes(outcomes)
    return outcomes


@contextmanager
def _at_most(seconds: float | None, commands: Commands) -> Iterator[None]:
    """Stop the commands when the block has taken so long."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, commands.stop, [f"stopped: more than {seconds:g} s"])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _outcome(stage: str, future: Any) -> Outcome:
    if future.state.is_pending():  # Prefect calls it NotReady: something upstream failed
        return Outcome(stage, NOT_RUN)
    result = future.result(raise_on_failure=False)
    if isinstance(result, Outcome):
        return result
    if isinstance(result, StageFailed):
        return result.outcome
    return Outcome(stage, FAILED, None, " ".join(str(result).split()))
