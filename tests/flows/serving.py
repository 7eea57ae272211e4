"""A Prefect server that can be stopped and started, deployments that are served, questions to its API."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.flows.harness import wait_for
from tests.flows.model_project import Model
from tests.flows.storage import answers, free_port, running
from tests.missing_programs import skip_without

POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)  # where Debian has it
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


@dataclass
class Service:
    """A server of our own, on SQLite or the database at an address."""

    home: Path
    database: str | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    ui: bool = False

    @property
    def api(self) -> dict[str, str]:
        return {"PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api"}

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, "PREFECT_HOME": str(self.home), "DO_NOT_TRACK": "1"}
        variables |= {
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_ENABLED": str(self.ui).lower(),
        }
        variables["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"] = LEASES  # as pyproject.toml has it
        if self.database:
            variables["PREFECT_API_DATABASE_CONNECTION_URL"] = self.database
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
        with open(self.home / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env=variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.healthy, 120)

    def stop(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)

    def healthy(self) -> bool:
        return answers(f"{self.api['PREFECT_API_URL']}/health")

    def ask(self, what: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.api['PREFECT_API_URL']}/{what}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def runs(self, flow: str = "retrain") -> list[dict[str, Any]]:
        """The runs of a flow that are not in the future, the oldest first."""
        states = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
        body = {"flows": {"name": {"any_": [flow]}}, "flow_runs": states, "sort": "EXPECTED_START_TIME_ASC"}
        return list(self.ask("flow_runs/filter", body))

    def run(self, name: str) -> dict[str, Any]:
        return dict(self.ask(f"flow_runs/{name}"))

    def artifacts(self, run: str) -> dict[str, dict[str, Any]]:
        """The artifacts of a run, by key."""
        artifacts = self.ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return {artifact["key"]: artifact for artifact in artifacts}

    def begin(self, deployment: str, **parameters: object) -> str:
        """Have a deployment run now; return the run's id."""
        flow, name = deployment.split("/")
        served = self.ask(f"deployments/name/{flow}/{name}")
        run = self.ask(f"deployments/{served['id']}/create_flow_run", {"parameters": parameters})
        return str(run["id"])

    def state(self, run: str) -> str:
        return str(self.run(run)["state"]["name"])

    def wait(self, run: str, seconds: float = 90) -> str:
        """Wait until a run has ended; return the name of its state."""

        def ended() -> bool:
            with suppress(OSError):  # a server with much to do may answer 503, or late: ask again
                return self.run(run)["state_type"] in ENDED
            return False

        wait_for(ended, seconds)
        return self.state(run)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A real PostgreSQL of our own on loopback; yields the address that Prefect takes."""
    if POSTGRES is None or (os.geteuid() == 0 and shutil.which("runuser") is None):
        skip_without("PostgreSQL")
    folder.mkdir()
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    if user:
        shutil.chown(folder, "postgres")
        for parent in folder.parents:  # pytest's folders are their owner's alone
            if parent.stat().st_uid == os.geteuid() and parent.is_relative_to("/tmp/pytest-of-root"):
                parent.chmod(0o755)
    port = free_port()
    data = folder / "data"
    make = [*user, POSTGRES / "initdb", "-D", data, "-U", "prefect", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd="/")
    settings = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
    with running(
        [*user, str(POSTGRES / "postgres"), "-D", str(data), *settings], folder.parent / "db.log", port
    ):
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"


def write_deployments(
    model: Model, interval: float | None = None, strategy: str = "ENQUEUE", **more: object
) -> None:
    schedules = f"[{{interval: {interval:g}}}]" if interval else "[]"
    parameters = json.dumps({"refresh_data": bool(interval), "gate": False, **more})
    (model.root / "prefect.yaml").write_text(
        "name: toy\ndeployments:\n  - name: often\n    entrypoint: flows/retrain.py:retrain\n"
        f"    parameters: {parameters}\n    schedules: {schedules}\n"
        f"    concurrency_limit: {{limit: 1, collision_strategy: {strategy}}}\n"
        "    work_pool: {name: toys}\n"
    )
    if "prefect.yaml" in model.git("status", "--porcelain"):
        model.commit("deployments")


@contextmanager
def served(model: Model, service: Service, *arguments: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """Have `flows.serve` run for the block; kill whatever of it is left."""
    command = [sys.executable, "-m", "flows.serve", "--reports-port", "0", *arguments]
    with _running(command, "served    ", model, service, extra) as process:
        yield process


@contextmanager
def working(model: Model, service: Service, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """Have a Prefect worker run for the block; kill whatever of it is left."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "toys"]
    with _running(command, "started!", model, service, extra) as process:
        yield process


@contextmanager
def _running(
    command: list[str], sign: str, model: Model, service: Service, extra: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    log = model.root.parent / f"log-{time.monotonic_ns()}"
    with open(log, "w") as file:
        process = subprocess.Popen(
            command,
            cwd=model.root,
            env=model.environment(**service.api, **extra),
            stdout=file,
            stderr=file,
            text=True,
            start_new_session=True,
        )
    try:
        wait_for(lambda: sign in log.read_text() or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: not _killed(model), 20)  # what is killed takes a while to be gone
        process.wait(10)


def _killed(model: Model) -> list[psutil.Process]:
    """Kill what works for the model; return it."""
    left = model.below()
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return left


def flow_process(parent: subprocess.Popen[str]) -> psutil.Process:
    """The process of the flow run that a runner or worker has at work."""

    def engines() -> list[psutil.Process]:
        children = psutil.Process(parent.pid).children(recursive=True)
        return [child for child in children if "prefect" in " ".join(child.cmdline())]

    wait_for(engines, 60)
    return engines()[0]
