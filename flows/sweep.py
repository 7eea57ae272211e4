"""Several params tried, each as a DVC experiment: `python -m flows.sweep train.seed=0,1 train.beta1=0.5,0.9`.

A grid, or with --random some draws from it. `dvc exp show` lists what came of them, `dvc exp apply` takes
one. A sweep that was stopped and is started again runs what is missing.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

from flows import logs, overrides, places, registry, runs, search, show, trials
from flows.command_line import Parser, ending
from flows.git import Git
from flows.lineage import INCOMPARABLE
from flows.search import Plan
from flows.server import server
from flows.trials import FAILED, Trial, trial
from gan.errors import UserError
from gan.params import PARAMS_FILE

HOURS = 48.0
SHOWN = ("fd_semantic", "fd_texture", "precision", "recall")
CLUSTERS = {
    "DASK_LOGGING__DISTRIBUTED": "warning",
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing phones home
    "RAY_kill_child_processes_on_worker_exit": "false",  # it would kill the guard, and leave the trial
}
THREADS, DASK, RAY = "threads", "dask", "ray"


class SweepFailed(UserError):
    """At least one trial failed; keeps what became of all."""

    def __init__(self, found: Sequence[Trial]) -> None:
        failed = [
            f"{row.plan.name} ({row.plan.words()}): {row.reason}" for row in found if row.outcome == FAILED
        ]
        super().__init__(f"{len(failed)} of {len(found)} trials failed: {'; '.join(failed)}")
        self.trials = list(found)


@flow(name="sweep", flow_run_name=runs.sweep_name, on_failure=[runs.tell], on_crashed=[runs.tell])
def sweep(
    params: list[str],
    revision: str = "HEAD",
    root: str = ".",
    name: str = "sweep",
    random: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    on: str = THREADS,
    hours: float = HOURS,
) -> list[Trial]:
    """Try params at a revision; return what became of each trial, in the order of the search.

    ``params`` are lists, ranges or intervals of values in Hydra's words. ``random``: so many draws,
    by ``seed``; None: the whole grid. ``jobs``: trials side by side on a machine; one, since a GPU
    trains one thing at a time. ``on``: threads, dask or ray here, or the address of a Dask scheduler
    (tcp://…) or Ray cluster (ray://…) whose workers share this checkout. ``hours``: a trial gets, at
    most. Raises UserError, and SweepFailed when all have ended and one failed.
    """
    logs.shorten()
    folder = places.project(root)
    git = Git(folder)
    base = registry.resolve(git, revision)
    plans = planned(git, base.commit, params, name, random, seed)
    runner = _runner(on, jobs)
    logs.logger().info("%d trials at %s, %d at a time", len(plans), base.commit[:10], jobs)
    _warn_of_threads(folder, base.commit, git, jobs, on)
    fan_out = _trials.with_options(task_runner=runner)
    found = fan_out(os.fspath(folder), base.commit, plans, jobs, hours)
    show.trials(rows(found))
    if any(row.outcome == FAILED for row in found):
        raise SweepFailed(found)
    return found


@flow(name="trials", flow_run_name="trials")
def _trials(root: str, base: str, plans: list[Plan], jobs: int, hours: float) -> list[Trial]:
    futures = []
    try:
        futures = [trial.submit(root, base, plan, jobs, hours) for plan in plans]
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
    found = search.grid(texts, name) if random is None else search.draw(texts, name, random, seed)
    with tempfile.TemporaryDirectory() as folder:
        for plan in found:
            (Path(folder) / PARAMS_FILE).write_text(git.text(commit, str(PARAMS_FILE)), encoding="utf-8")
            overrides.apply(Path(folder), plan.values, f"{plan.name} ({plan.words()})")
    return found


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
    threads = overrides.value(git.text(commit, str(PARAMS_FILE)), PARAMS_FILE.name)["train"]["threads"]
    here = os.cpu_count() or 1
    if "://" not in on and jobs > 1 and jobs * threads > here:
        text = (
            "%d trials of train.threads %d on %d processors: much slower than one by one; set train.threads=1"
        )
        logs.logger().warning(text, jobs, threads, here)


def rows(found: Sequence[Trial]) -> list[dict[str, str]]:
    """Return the trials as rows of a table, the best first."""
    first = next((key for key in SHOWN if any(key in row.metrics for row in found)), None)
    ordered = sorted(found, key=lambda row: row.metrics.get(first, float("inf")) if first else 0.0)
    shown = [key for key in SHOWN if any(key in row.metrics for row in found)]
    return [
        {"experiment": row.plan.name, "outcome": row.outcome}
        | {key: str(value) for key, value in row.plan.values.items()}
        | {key: f"{row.metrics[key]:.3g}" if key in row.metrics else "" for key in shown}
        | {"seconds": "" if row.seconds is None else f"{row.seconds:g}"}
        for row in ordered
    ]


def summary(found: Sequence[Trial]) -> str:
    """Return what the terminal shows: a table, the best first."""
    table = rows(found)
    wide = {key: max(len(key), *(len(row[key]) for row in table)) for key in table[0]}
    lines = ["  ".join(f"{value:<{wide[key]}}" for key, value in row.items()).rstrip() for row in table]
    head = "  ".join(f"{key:<{size}}" for key, size in wide.items()).rstrip()
    if len({row.scorer for row in found if row.metrics}) > 1:
        lines.append(f"measured {INCOMPARABLE}")
    return "\n".join(["", head, *lines, "", "`dvc exp show` lists them, `dvc exp apply NAME` takes one"])


def main() -> None:
    """Sweep from the command line."""
    arguments = _arguments()
    with ending():
        git = Git(places.project("."))
        base = registry.resolve(git, arguments.revision)
        planned(git, base.commit, arguments.params, arguments.name, arguments.random, arguments.seed)
        _runner(arguments.on, arguments.jobs)
        try:
            with server():
                found = sweep(**vars(arguments))
        except SweepFailed as error:
            print(summary(error.trials), flush=True)
            raise
    print(summary(found))


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m flows.sweep", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("params", nargs="+", metavar="NAME=VALUE,VALUE", help="what to try")
    parser.add_argument("--random", type=int, metavar="N", help="so many draws; otherwise the whole grid")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; 0")
    parser.add_argument("--revision", default="HEAD", help="what to start from; HEAD")
    parser.add_argument("--name", default="sweep", help="what the experiments' names begin with; sweep")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="trials side by side; 1")
    parser.add_argument("--on", default=THREADS, help="threads, dask, ray, tcp://… or ray://…; threads")
    parser.add_argument("--hours", type=float, default=HOURS, help=f"that a trial gets, at most; {HOURS:g}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
