"""What a flow knows about its run: the name, the folder of resumable states, how to report a failure."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.runtime import deployment, flow_run
from prefect.states import Completed

from flows.judge.stage_outcomes import PipelineFailed
from flows.orchestration import artifacts
from flows.orchestration.secrets import plain
from flows.system import logs
from gan.files import RUNS
from gan.urls import redacted

ALIVE = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.COMPLETED]
OLD = 30 * 24 * 3600  # seconds after which a training that stopped is not gone on with


def retrain_name() -> str:
    """Return the name of a retraining, such as `retrain main, train.epochs 5, fresh data`."""

    given = flow_run.get_parameters()
    values = [f"{key} {redacted(plain(value))}" for key, value in (given.get("params") or {}).items()]
    fresh = ["fresh data"] if given.get("refresh_data") else []
    return ", ".join([f"retrain {given.get('revision', 'HEAD')}", *values, *fresh])


def states(folder: Path, purpose: str) -> Path:
    """Return the folder in which a worktree's stages keep their resumable states; remove old ones."""
    states_folder = folder / RUNS / "states" / purpose
    for path in states_folder.glob("train-*"):
        if time.time() - path.stat().st_mtime > OLD:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return states_folder


def tell(flow: Any, flow_run: Any, state: Any) -> None:
    """Show why a run failed, with the last lines of each stage that did: an artifact and an event."""
    error = state.result(raise_on_failure=False)
    failed = [row for row in error.outcomes if row.tail] if isinstance(error, PipelineFailed) else []
    tail = [line for row in failed for line in (f"{row.stage}:", *row.tail)]
    text = " ".join(str(error or state.message).split())
    artifacts.failure(text, tail)
    artifacts.event("run.failed", {"run": flow_run.name, "message": "\n".join([text, *tail])})


def sweep_name() -> str:
    """Return the name of a sweep, such as `sweep main: train.seed=0,1`."""

    given = flow_run.get_parameters()
    values = " ".join(redacted(plain(text)) for text in given["params"])
    return f"{given.get('name', 'sweep')} {given.get('revision', 'HEAD')}: {values}"


def deployed() -> bool:
    """Say whether this is a run of a deployment, not of a command."""
    return deployment.id is not None


def superseded() -> State[Any] | None:
    """Return the state to end in if this scheduled run is late and a later one is due or has run; else None.

    After a night without a worker all missed runs are due at once; the last one is enough. A run that
    somebody retried is never skipped.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or not run.auto_scheduled or not run.expected_start_time:
        return None
    if run.run_count > 1:
        return None
    alive = FlowRunFilterState(type=FlowRunFilterStateType(any_=ALIVE))
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
        state=alive,
        expected_start_time=FlowRunFilterExpectedStartTime(
            after_=run.expected_start_time, before_=datetime.now(UTC)
        ),
    )
    with logs.unharmed("what else is due"), get_client(sync_client=True) as client:
        later = [other for other in client.read_flow_runs(flow_run_filter=wanted) if other.id != run.id]
        if any(other.auto_scheduled for other in later):
            return Completed(name="Skipped", message="a later run of this schedule is due, or was run")
    return None
