"""A run in MLflow: at $MLFLOW_TRACKING_URI, or in .runs/mlflow.db without one.

`mlflow server --backend-store-uri sqlite:///.runs/mlflow.db` shows the latter.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a server that is away shall not hold training
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from gan.files import RUNS
from gan.trackers import catch_up, flat, of_row

EXPERIMENT = "ganflow"
TAG = "ganflow.training"
PICTURES = "fixed_latents"
MOST = 100  # params in one request


class Tracker:
    """Logs metrics and pictures; begun again, it goes on with its unfinished run."""

    def __init__(self, training: str, params: Mapping[str, Any]) -> None:
        self.training, self.params, self.logged, self.pictured = training, params, -1, set[str]()
        RUNS.mkdir(exist_ok=True)
        self.server = os.environ.get("MLFLOW_TRACKING_URI")
        self.client = MlflowClient(self.server or f"sqlite:///{RUNS}/mlflow.db")

    def begin(self, facts: Mapping[str, Any], rows: Sequence[Mapping[str, float]]) -> None:
        """Find the unfinished run or make one, and log the rows and pictures that it lacks."""
        found = self.client.get_experiment_by_name(EXPERIMENT)
        # A server knows where its pictures go; a file's would go beside the code.
        pictures = None if self.server else (RUNS / "mlflow").resolve().as_uri()
        experiment = found.experiment_id if found else self.client.create_experiment(EXPERIMENT, pictures)
        same = f"tags.`{TAG}` = '{self.training}' and attributes.status = 'RUNNING'"
        runs = self.client.search_runs([experiment], same, max_results=1)
        if runs:
            self.run = runs[0].info.run_id
            self.logged = max(
                (m.step for m in self.client.get_metric_history(self.run, "loss_d")), default=-1
            )
            self.pictured = {Path(file.path).name for file in self.client.list_artifacts(self.run, PICTURES)}
        else:
            self.run = self.client.create_run(experiment, tags={TAG: self.training}).info.run_id
            params = [Param(name, value[:500]) for name, value in flat(self.params).items()]
            for start in range(0, len(params), MOST):
                self.client.log_batch(self.run, params=params[start : start + MOST])
        catch_up(self, facts, rows)

    def row(self, row: Mapping[str, float]) -> None:
        """Log a metric for each figure."""
        step = int(row["step"])
        if step > self.logged:
            self.client.log_batch(self.run, [Metric(n, v, 0, step) for n, v in of_row(row).items()])
            self.logged = step

    def picture(self, step: int, path: Path, figures: Mapping[str, float]) -> None:
        """Log the fixed latents' grid, and the figures of the snapshot."""
        if path.name in self.pictured:
            return
        metrics = [Metric(f"snapshot/{name}", value, 0, step) for name, value in figures.items()]
        self.client.log_batch(self.run, metrics)
        self.client.log_artifact(self.run, os.fspath(path), PICTURES)

    def end(self) -> None:
        """Finish the run."""
        self.client.set_terminated(self.run)
