"""What flows know of their own run: its name, where its resumable states are, how a failure is told."""

import shutil
import time
from pathlib import Path
from typing import Any

from flows import show
from flows.outcome import PipelineFailed
from gan.files import RUNS

OLD = 30 * 24 * 3600  # seconds after which a training that stopped is not gone on with


def retrain_name() -> str:
    """Return what a retraining is called: `retrain main, train.epochs 5, fresh data`."""
    from prefect.runtime import flow_run

    given = flow_run.get_parameters()
    values = [f"{key} {value}" for key, value in (given.get("params") or {}).items()]
    fresh = ["fresh data"] if given.get("refresh_data") else []
    return ", ".join([f"retrain {given.get('revision', 'HEAD')}", *values, *fresh])


def states(folder: Path, purpose: str) -> Path:
    """Return where stages of a worktree keep what they need to go on; clear away what is too old."""
    place = folder / RUNS / "states" / purpose
    for path in place.glob("train-*"):
        if time.time() - path.stat().st_mtime > OLD:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return place


def tell(flow: Any, flow_run: Any, state: Any) -> None:
    """Show why a run failed, with the last lines of each stage that did: an artifact and an event."""
    error = state.result(raise_on_failure=False)
    failed = [row for row in error.outcomes if row.tail] if isinstance(error, PipelineFailed) else []
    tail = [line for row in failed for line in (f"{row.stage}:", *row.tail)]
    text = " ".join(str(error or state.message).split())
    show.failure(text, tail)
    show.event("run.failed", {"run": flow_run.name, "message": text, "tail": "\n".join(tail)})
