"""dvc.yaml's own stages as Prefect tasks: `python -m flows.pipeline`.

DVC owns the graph and does the work, one `dvc repro` a stage; this decides when. Stages that do
not need one another run side by side, and dvc.lock becomes what `dvc repro` makes of it.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

from flows import graph, logs
from flows.commands import Commands
from flows.environment import environment
from flows.outcome import (
    FAILED,
    NOT_RUN,
    RAN,
    UNCHANGED,
    Outcome,
    PipelineFailed,
    Reader,
    StageFailed,
    summary,
    table,
)
from flows.server import server
from gan.errors import UserError
from gan.files import run_lock


# NO_CACHE: DVC is the only cache.
@task(task_run_name="{stage}", cache_policy=NO_CACHE)
def reproduce_stage(commands: Commands, root: Path, stage: str, force: bool = False) -> Outcome:
    """Reproduce one stage with DVC, its output in the run's log. Raises StageFailed."""
    started, log, reader = time.monotonic(), logs.logger(), Reader(stage)

    def outcome(name: str, reason: str = "") -> Outcome:
        return Outcome(stage, name, round(time.monotonic() - started, 2), reason)

    def show(line: str) -> None:
        if reader.read(line):
            log.info("%s", line)

    if not force and not graph.changed(root, stage):
        log.info("Stage '%s' didn't change, skipping", stage)
        return outcome(UNCHANGED)
    options = ["--single-item", *(["--force"] if force else [])]
    status = commands.run([sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *options, stage], show)
    if status:
        raise StageFailed(outcome(FAILED, reader.reason(status)))
    return outcome(reader.outcome or RAN)


@flow(name="pipeline", task_runner=ThreadPoolTaskRunner())  # type: ignore[arg-type]
def pipeline(root: str = ".", stages: list[str] | None = None, force: bool = False) -> list[Outcome]:
    """Reproduce ``stages`` and all they need, or the whole of dvc.yaml; return each one's outcome.

    Where a stage fails, what depends on it is not run and everything else is; then raises
    PipelineFailed. Raises UserError when another run is under way in the same folder.
    """
    logs.shorten()
    folder = Path(root).resolve()
    if not (folder / "dvc.yaml").exists():
        raise UserError(f"{folder}: no dvc.yaml here; run from the root of the repository")
    with run_lock(os.path.relpath(folder / ".runs" / "pipeline", ".runs")):
        if graph.mend(folder):
            logs.logger().warning("a killed run had left DVC's .dvc/tmp/rwlock half-written; removed it")
        plan, before = graph.plan(folder, stages or ()), graph.locked(folder)
        outcomes = _run(plan, folder, force)
        graph.order_lock(folder, before, list(plan))
    if logs.in_run():
        create_table_artifact(table(outcomes), key="stages", description="What became of each stage")
    if any(row.outcome == FAILED for row in outcomes):
        raise PipelineFailed(outcomes)
    return outcomes


def _run(plan: dict[str, list[str]], root: Path, force: bool) -> list[Outcome]:
    commands = Commands(root, environment(root))
    futures: dict[str, Any] = {}
    try:
        for stage, needed in plan.items():
            upstream = [futures[name] for name in needed]
            futures[stage] = reproduce_stage.submit(
                commands, root, stage, force, wait_for=upstream, return_state=False
            )
        wait(list(futures.values()))
    finally:  # Ctrl-C, SIGTERM and cancelling raise here
        commands.stop()
    return [_outcome(stage, future) for stage, future in futures.items()]


def _outcome(stage: str, future: Any) -> Outcome:
    if future.state.is_pending():  # Prefect calls it NotReady: something upstream failed
        return Outcome(stage, NOT_RUN)
    result = future.result(raise_on_failure=False)
    if isinstance(result, Outcome):
        return result
    if isinstance(result, StageFailed):
        return result.outcome
    return Outcome(stage, FAILED, None, " ".join(str(result).split()))


def main() -> None:
    """Run the pipeline of the current folder from the command line."""
    parser = argparse.ArgumentParser(prog="python -m flows.pipeline", description=pipeline.__doc__)
    parser.add_argument("--force", action="store_true", help="run every stage, changed or not")
    parser.add_argument(
        "--stage", action="append", metavar="NAME", help="only this one and what it needs; may be repeated"
    )
    arguments = parser.parse_args()
    # Prefect passes SIGTERM on to this handler: leave by way of every clean-up, with the usual status.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with server():
            outcomes = pipeline(".", arguments.stage, arguments.force)
    except PipelineFailed as error:
        print(summary(error.outcomes, Path()), flush=True)
        sys.exit(f"error: {error}")
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    print(summary(outcomes, Path()))


if __name__ == "__main__":
    main()
