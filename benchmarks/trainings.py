"""Trainings that benchmarks time: nothing saved or printed on the way; and their recipe and revision."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine
from gan import devices
from gan import params as parameters
from gan.params import Params, Train
from gan.training.feed import Data
from gan.training.loop import Loop
from gan.yaml12 import parse_yaml

ROOT = Path(__file__).resolve().parent.parent
QUIET = {"log_every": 10**9, "checkpoint_seconds": 1e9, "snapshots": 1}
UNWATCHED = {"patience": None, "on_divergence": "stop", "on_collapse": "warn"}


def training(
    recipe: Params, data: Data, folder: Path, device: str, seed: int = 0, steps: int | None = None
) -> Loop:
    """Return a training that ends after so many steps, or never; ``folder`` takes what it saves at last."""
    length = {"max_steps": steps, "epochs": 10**7, "seed": seed}
    train = Train.model_validate({**recipe.train.model_dump(), **length, **QUIET, **UNWATCHED})
    precision = devices.precision(train.precision, device)
    return Loop(recipe.network, train, data, folder, device, precision=precision)


def advance(loop: Loop, steps: int, clock: Callable[[], float] | None = None) -> float:
    """Do so many steps; return seconds by ``clock``: unless given, the processor's on a CPU."""
    clock = clock or (time.process_time if loop.device == "cpu" else time.perf_counter)
    machine.synchronise(loop.device)
    started = clock()
    for _ in range(steps):
        loop.advance()
    machine.synchronise(loop.device)
    return clock() - started


def changed(recipe: Params, changes: list[str]) -> Params:
    """Return ``recipe`` with ``changes``, each SECTION.KEY=VALUE."""
    values = recipe.model_dump(by_alias=True)
    for change in changes:
        name, _, text = change.partition("=")
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = parse_yaml(text)
    return parameters.check(values, "--set")


def revision() -> str:
    """Return the commit that is checked out, with a plus where files differ from it."""
    asked = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    answer = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "none"
