"""A Prefect server process, and throwaway repositories that leave nothing running."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.flows.experiment import Experiment, make_experiment
from tests.flows.harness import Server, Toy, make_toy, wait_for


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Prefect server on a loopback port."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {**os.environ, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}
    own |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_UI_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with open(home / "server.log", "wb") as log:
        process = subprocess.Popen(command, env=own, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}/api"

    def healthy() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
        return False

    try:
        wait_for(healthy, 90)
        yield Server(url, home)
    finally:
        os.killpg(process.pid, 15)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


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
