"""A temporary Prefect server for a run at hand, where none is configured.

Prefect would start one itself, but leave it behind when the run is killed.
"""

import atexit
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import prefect
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.commands import Commands, Stopped
from flows.environment import environment
from gan.errors import UserError

START_SECONDS = 120.0
ANSWER_SECONDS = 10.0


@contextmanager
def server() -> Iterator[None]:
    """Have a Prefect server for the block: the configured one, else one of our own on loopback.

    What it records stays in Prefect's database, for `prefect server start` to show. It ends with
    this process (after Prefect has sent its last log lines), however that ends.
    """
    if get_current_settings().api.url:
        configured()
        yield
        return
    port = _free_port()
    commands = Commands(Path.cwd(), {**environment(Path.cwd()), "PREFECT__SERVER_EPHEMERAL": "1"})
    lines: deque[str] = deque(maxlen=10)
    thread = threading.Thread(target=_run, args=(commands, port, lines), daemon=True)
    thread.start()
    atexit.register(_stop, commands, thread)
    url = f"http://127.0.0.1:{port}/api"
    _wait(url, thread, lines)
    with temporary_settings({PREFECT_API_URL: url}):
        yield


def configured() -> str:
    """Return the configured server's address. Raises UserError where there is none, or it is not there."""
    url = get_current_settings().api.url
    if not url:
        raise UserError(
            "no Prefect server is configured: `prefect server start`, then "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=ANSWER_SECONDS):  # noqa: S310
            pass
    except urllib.error.HTTPError:  # it wants to know who asks: there it is
        pass
    except (OSError, ValueError) as error:
        raise UserError(
            f"PREFECT_API_URL: {url}: no server answers there ({getattr(error, 'reason', error)}); start it, "
            "or unset the variable"
        ) from None
    return url


def _run(commands: Commands, port: int, lines: deque[str]) -> None:
    folder = os.fspath(Path(prefect.__file__).parent)
    application = ["--factory", "prefect.server.api.server:create_app", "--app-dir", folder]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    quiet = ["--log-level", "error", "--timeout-graceful-shutdown", "2"]
    with suppress(Stopped):
        commands.run([sys.executable, "-m", "uvicorn", *application, *address, *quiet], lines.append)


def _stop(commands: Commands, thread: threading.Thread) -> None:
    commands.stop()
    thread.join()


def _wait(url: str, thread: threading.Thread, lines: deque[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while thread.is_alive() and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310
            return
        time.sleep(0.1)
    said = f" ({lines[-1]})" if lines else ""
    raise UserError(
        f"Prefect's temporary server did not start{said}; "
        "run `prefect server start` and set PREFECT_API_URL to its address"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
