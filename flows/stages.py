"""Stages of dvc.yaml as Prefect tasks: those that do not need one another run side by side."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait

from flows import graph, logs
from flows.commands import Commands
from flows.outcome import FAILED, NOT_RUN, RAN, UNCHANGED, Outcome, Reader, StageFailed, table

FORCE = ("--force",)  # run, whatever has changed
# Run for the sake of the hashes alone: nothing comes out of a cache, and nothing goes into one.
AFRESH = (*FORCE, "--no-commit", "--no-run-cache")


# NO_CACHE: DVC is the only cache.
@task(task_run_name="{stage}", cache_policy=NO_CACHE)
def reproduce_stage(commands: Commands, root: Path, stage: str, options: Sequence[str] = ()) -> Outcome:
    """Reproduce one stage with DVC, its output in the run's log. Raises StageFailed.

    ``options`` are those of `dvc repro` (FORCE, AFRESH).
    """
    started, log, reader = time.monotonic(), logs.logger(), Reader(stage)

    def outcome(name: str, reason: str = "") -> Outcome:
        return Outcome(stage, name, round(time.monotonic() - started, 2), reason)

    def show(line: str) -> None:
        if reader.read(line):
            log.info("%s", line)

    if "--force" not in options and not graph.changed(root, stage):
        log.info("Stage '%s' didn't change, skipping", stage)
        return outcome(UNCHANGED)
    repro = ["--wait-for-lock", "repro", "--single-item", *options, stage]
    status = commands.run([sys.executable, "-m", "dvc", *repro], show)
    if status:
        raise StageFailed(outcome(FAILED, reader.reason(status)))
    return outcome(reader.outcome or RAN)


def run_stages(
    plan: Mapping[str, Sequence[str]],
    root: Path,
    variables: Mapping[str, str],
    options: Sequence[str] = (),
) -> list[Outcome]:
    """Reproduce the stages of ``plan`` (each with those it needs) in a flow; return each one's outcome.

    Where a stage fails, what depends on it is not run, and everything else is. dvc.lock gets its new
    entries in DVC's own order.
    """
    before = graph.locked(root)
    commands = Commands(root, variables)
    futures: dict[str, Any] = {}
    try:
        for stage, needed in plan.items():
            upstream = [futures[name] for name in needed if name in futures]
            futures[stage] = reproduce_stage.submit(
                commands, root, stage, options, wait_for=upstream, return_state=False
            )
        wait(list(futures.values()))
    finally:  # Ctrl-C, SIGTERM and cancelling raise here
        commands.stop()
    outcomes = [_outcome(stage, future) for stage, future in futures.items()]
    graph.order_lock(root, before, list(plan))
    if logs.in_run():
        create_table_artifact(table(outcomes), key="stages", description="What became of each stage")
    return outcomes


def _outcome(stage: str, future: Any) -> Outcome:
    if future.state.is_pending():  # Prefect calls it NotReady: something upstream failed
        return Outcome(stage, NOT_RUN)
    result = future.result(raise_on_failure=False)
    if isinstance(result, Outcome):
        return result
    if isinstance(result, StageFailed):
        return result.outcome
    return Outcome(stage, FAILED, None, " ".join(str(result).split()))
