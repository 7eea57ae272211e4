"""A Prefect server process, and throwaway repositories that leave nothing running."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from tests.flows.experiment import Experiment, make_experiment
from tests.flows.harness import Server, Toy, make_toy, wait_for
from tests.flows.storage import answers, free_port


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Prefect server on a loopback port; pytest's workers share it, since it takes long to start."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    lock, record = FileLock(folder / "prefect.lock"), folder / "prefect.json"
    with lock:
        known = (
            json.loads(record.read_text()) if record.exists() else _start(tmp_path_factory.mktemp("prefect"))
        )
        record.write_text(json.dumps({**known, "users": known["users"] + 1}))
    try:
        yield Server(known["url"], Path(known["home"]))
    finally:
        with lock:
            left = json.loads(record.read_text())
            record.write_text(json.dumps({**left, "users": left["users"] - 1}))
            if left["users"] == 1:
                record.unlink()
                _stop(left["pid"])


def _start(home: Path) -> dict[str, Any]:
    port = free_port()
    variables = {**os.environ, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}
    variables |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_UI_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with open(home / "server.log", "wb") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}/api"

    try:
        wait_for(lambda: answers(f"{url}/health"), 300)
    except BaseException:
        _stop(process.pid)
        raise
    return {"url": url, "home": str(home), "pid": process.pid, "users": 0}


def _stop(pid: int) -> None:
    """End the server and what it started; it may be the child of another of pytest's workers."""
    os.killpg(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def api(server: Server) -> dict[str, str]:
    """What points a command at that server."""
    return {"PREFECT_API_URL": server.url}


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """An experiment that is recorded once."""
    return make_experiment(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Toy]]:
    """Make toys by name; whatever they left running is ended at the end."""
    made: list[Toy] = []

    def toy(name: str = "toy") -> Toy:
        made.append(make_toy(tmp_path / name, tmp_path / "prefect"))
        return made[-1]

    yield toy
    for each in made:
        for process in each.processes():
            with suppress(psutil.Error):
                process.kill()
        for process in each.started:
            process.wait(10)
            process.stdout.close()
