"""Several params tried, each as a DVC experiment: `python -m flows.sweep train.seed=0,1 train.beta1=0.5,0.9`.

A grid, or with --random some draws from it. `dvc exp show` lists what came of them, `dvc exp apply` takes
one. A sweep that was stopped and is started again runs what is missing.
"""

import os
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import SecretStr

from flows.front_door import command_table
from flows.front_door.flow_options import DASK, HOURS, RAY, THREADS
from flows.orchestration import artifacts, run_context
from flows.orchestration.secrets import hidden, plain, plain_values
from flows.orchestration.server import server
from flows.repo import checkout, model_versions, param_overrides
from flows.repo.git import Git
from flows.repo.lineage import INCOMPARABLE
from flows.system import logs, pinned_environments
from flows.system.exit_status import ending
from flows.tasks import search_space, trials
from flows.tasks.search_space import Plan
from flows.tasks.trials import FAILED, Trial, trial
from gan import urls
from gan.errors import UserError
from gan.paths import PARAMS, PINS

SHOWN = ("fd_semantic", "fd_texture", "precision", "recall")
CLUSTERS = {
    "DASK_LOGGING__DISTRIBUTED": "warning",
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing phones home
    "RAY_kill_child_processes_on_worker_exit": "false",  # it would kill the guard, and leave the trial
}


class SweepFailed(UserError):
    """At least one trial failed; keeps what became of all."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        failed = [
            f"{trial.plan.name} ({trial.plan.describe()}): {trial.reason}"
            for trial in trials
            if trial.outcome == FAILED
        ]
        super().__init__(f"{len(failed)} of {len(trials)} trials failed: {'; '.join(failed)}")
        self.trials = list(trials)


@flow(
    name="sweep",
    flow_run_name=run_context.sweep_name,
    on_failure=[run_context.tell],
    on_crashed=[run_context.tell],
)
def sweep(
    params: list[str | SecretStr],
    revision: str = "HEAD",
    root: str = ".",
    name: str = "sweep",
    random: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    on: str = THREADS,
    hours: float = HOURS,
    unpinned: bool = False,
) -> list[Trial]:
    """Try params at a revision; return what became of each trial, in the order of the search.

    ``params`` are lists, ranges or intervals of values in Hydra's words. ``random``: so many draws,
    by ``seed``; None: the whole grid. ``jobs``: trials side by side on a machine; one, since a GPU
    trains one thing at a time. ``on``: threads, dask or ray here, or the address of a Dask scheduler
    (tcp://…) or Ray cluster (ray://…) whose workers share this checkout. ``hours``: a trial gets, at
    most. ``unpinned``: go on where packages are not as packages.yaml pins them. Raises UserError, and
    SweepFailed when all have ended and one failed.
    """
    logs.shorten()
    folder = checkout.project(root)
    git = Git(folder)
    base = model_versions.resolve(git, revision)
    plans = planned(git, base.commit, [plain(text) for text in params], name, random, seed)
    runner = _runner(on, jobs)
    _hold(git, base.commit, unpinned)
    logs.logger().info("%d trials at %s, %d at a time", len(plans), base.commit[:10], jobs)
    _warn_of_threads(folder, base.commit, git, jobs, on)
    fan_out = _trials.with_options(task_runner=runner)
    results = fan_out(os.fspath(folder), base.commit, plans, jobs, hours, unpinned)
    artifacts.trials(rows(results))
    if any(row.outcome == FAILED for row in results):
        raise SweepFailed(results)
    return results


@flow(name="trials", flow_run_name="trials")
def _trials(root: str, base: str, plans: list[Plan], jobs: int, hours: float, unpinned: bool) -> list[Trial]:
    futures = []
    try:
        futures = [trial.submit(root, base, plan, jobs, hours, unpinned) for plan in plans]
        wait(futures)
    finally:  # Ctrl-C, SIGTERM and cancelling raise here; workers of Dask and Ray go with their cluster
        trials.stop()
    return [_outcome(plan, future) for plan, future in zip(plans, futures, strict=True)]


def _outcome(plan: Plan, future: Any) -> Trial:
    try:
        result = future.result(raise_on_failure=False)
    except Exception as error:  # a worker died or cannot import this: whatever its cluster raises
        result = error
    return result if isinstance(result, Trial) else Trial(plan, FAILED, reason=" ".join(str(result).split()))


def planned(
    git: Git, commit: str, texts: Sequence[str], name: str, random: int | None, seed: int
) -> list[Plan]:
    """Return the trials, each one's params checked. Raises UserError before any has started."""
    if git.ask("check-ref-format", trials.ref(commit, f"{name}-x")) is None or name.startswith("-"):
        raise UserError(f"--name {name}: not a name for an experiment; letters, digits and dashes are")
    plans = search_space.grid(texts, name) if random is None else search_space.draw(texts, name, random, seed)
    overrides = ((f"{plan.name} ({plan.describe()})", plain_values(plan.values)) for plan in plans)
    param_overrides.check_at(git, commit, overrides)
    return plans


def _hold(git: Git, commit: str, unpinned: bool) -> None:
    """Refuse packages that are not as pinned, before a trial has started; each worker refuses its own."""
    with tempfile.TemporaryDirectory() as folder:
        if (text := git.blob(commit, str(PINS))) is not None:
            (Path(folder) / PINS).write_bytes(text)
        pinned_environments.hold(Path(folder), unpinned)


def _runner(on: str, jobs: int) -> Any:
    """Return Prefect's task runner by its name or address. Raises UserError where it is not installed."""
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: at least 1")
    if on == THREADS:
        return ThreadPoolTaskRunner(max_workers=jobs)
    kind, sign, _ = on.partition("://")
    for variable, value in CLUSTERS.items():
        os.environ.setdefault(variable, value)
    try:
        if on == DASK or (sign and kind in ("tcp", "tls")):
            from prefect_dask.task_runners import DaskTaskRunner

            local: dict[str, Any] = {"n_workers": jobs, "threads_per_worker": 1, "processes": True}
            local |= {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
            return DaskTaskRunner(address=on) if sign else DaskTaskRunner(cluster_kwargs=local)
        if on == RAY or (sign and kind == "ray"):
            from prefect_ray.task_runners import RayTaskRunner

            local = {"num_cpus": jobs, "include_dashboard": False}
            return RayTaskRunner(address=on) if sign else RayTaskRunner(init_kwargs=local)
    except ImportError:
        package = "prefect-ray" if kind == RAY else "prefect-dask"
        raise UserError(f"--on {on}: needs the package {package}: `uv pip install {package}`") from None
    raise UserError(f"--on {on}: one of {THREADS}, {DASK}, {RAY}, tcp://HOST:PORT (Dask), ray://HOST:PORT")


def _warn_of_threads(folder: Path, commit: str, git: Git, jobs: int, on: str) -> None:
    """Say where trials would fight for the processors: two trainings on the same cores crawl."""
    wanted = param_overrides.value(git.text(commit, str(PARAMS)), PARAMS.name)["train"]["threads"]
    here = os.cpu_count() or 1
    threads = here if wanted == "auto" else wanted
    if "://" not in on and jobs > 1 and jobs * threads > here:
        text = (
            "%d trials of train.threads %d on %d processors: much slower than one by one; set train.threads=1"
        )
        logs.logger().warning(text, jobs, threads, here)


def rows(trials: Sequence[Trial]) -> list[dict[str, str]]:
    """Return the trials as rows of a table, the best first."""
    first = next((key for key in SHOWN if any(key in row.metrics for row in trials)), None)
    ordered = sorted(trials, key=lambda row: row.metrics.get(first, float("inf")) if first else 0.0)
    metrics = [key for key in SHOWN if any(key in row.metrics for row in trials)]
    return [
        {"experiment": row.plan.name, "outcome": row.outcome}
        | {key: urls.redacted(plain(value)) for key, value in row.plan.values.items()}
        | {key: f"{row.metrics[key]:.3g}" if key in row.metrics else "" for key in metrics}
        | {"seconds": "" if row.seconds is None else f"{row.seconds:g}"}
        for row in ordered
    ]


def summary(trials: Sequence[Trial]) -> str:
    """Return what the terminal shows: a table, the best first."""
    table = rows(trials)
    wide = {key: max(len(key), *(len(row[key]) for row in table)) for key in table[0]}
    lines = ["  ".join(f"{value:<{wide[key]}}" for key, value in row.items()).rstrip() for row in table]
    head = "  ".join(f"{key:<{size}}" for key, size in wide.items()).rstrip()
    if len({row.scorer for row in trials if row.metrics}) > 1:
        lines.append(f"measured {INCOMPARABLE}")
    if finished := sum(row.outcome != FAILED for row in trials):
        which = "them" if finished == len(trials) else f"the {finished} that did not fail"
        lines += ["", f"`dvc exp show` lists {which}, `dvc exp apply NAME` takes one"]
    return "\n".join(["", head, *lines])


def main(arguments: Namespace | None = None) -> None:
    """Sweep from the command line."""
    asked = arguments or command_table.arguments("sweep")
    with ending():
        git = Git(checkout.project("."))
        base = model_versions.resolve(git, asked.revision)
        planned(git, base.commit, asked.params, asked.name, asked.random, asked.seed)
        _runner(asked.on, asked.jobs)
        try:
            with server():
                given = {**vars(asked), "params": [hidden(text) for text in asked.params]}
                results = sweep(**given)
        except SweepFailed as error:
            print(summary(error.trials), flush=True)
            raise
    print(summary(results))


if __name__ == "__main__":
    main()
