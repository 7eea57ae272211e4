"""A temporary Prefect server for one run, if no server is configured.

Prefect would start one itself, but it would stay when the run is killed.
"""

import atexit
import http.client
import os
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import prefect
from prefect.context import get_settings_context
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.judge.stage_outcomes import FULL
from flows.system import logs, proxies
from flows.system.processes import Commands, Stopped
from flows.system.variables import environment
from gan.errors import UserError

START_SECONDS = 120.0
ANSWER_SECONDS = 10.0
LEAST = 1_000_000  # bytes: with less room a database cannot grow


@contextmanager
def server() -> Iterator[None]:
    """Provide a Prefect server for the block: the configured one, or a temporary one on loopback.

    Its records stay in Prefect's database, and `prefect server start` shows them. The temporary server
    ends with this process, after Prefect has sent its last log lines.
    """
    if get_current_settings().api.url:
        with _in_one_line(configured(), ()):
            yield
        return
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    proxies.settle(url)
    logs.temporary_server = True
    commands = Commands(Path.cwd(), {**environment(Path.cwd()), "PREFECT__SERVER_EPHEMERAL": "1"})
    lines: deque[str] = deque(maxlen=200)
    thread = threading.Thread(target=_run, args=(commands, port, lines), daemon=True)
    thread.start()
    atexit.register(_stop, commands, thread)
    _wait(url, thread, lines)
    with temporary_settings({PREFECT_API_URL: url}), _in_one_line("Prefect's temporary server", lines):
        yield


@contextmanager
def _in_one_line(where: str, lines: Collection[str]) -> Iterator[None]:
    """Turn what Prefect's client says of its server into one line; ``lines``: a server of ours said."""
    try:
        yield
    except (PrefectHTTPStatusError, httpx.HTTPError) as error:
        _refuse_full(lines)
        messages = str(error).strip().splitlines() or ["it said nothing"]
        raise UserError(f"{where}: {type(error).__name__}: {messages[0]}; its own log says more") from None


def _refuse_full(lines: Collection[str]) -> None:
    """Raise UserError where there is no room for the database of a server of ours."""
    home = get_current_settings().home
    with suppress(OSError):
        if any(FULL in line for line in lines) or shutil.disk_usage(home).free < LEAST:
            raise UserError(f"{home}: No space left on device, for Prefect's database; make room there")


def configured() -> str:
    """Return the configured server's address. Raises UserError if there is none, or if it does not answer."""
    url = get_current_settings().api.url
    if not url:
        raise UserError(
            "no Prefect server is configured: `prefect server start`, then "
            "`export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    proxies.settle(url)
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=ANSWER_SECONDS):  # noqa: S310
            pass
    except urllib.error.HTTPError:  # it wants to know who asks: there it is
        pass
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(error, http.client.HTTPException):
            reason = "what listens there speaks no HTTP"
        raise UserError(
            f"PREFECT_API_URL: {url}: no server answers there ({reason}); "
            f"`prefect server start`, or {_without()}"
        ) from None
    return url


def _without() -> str:
    """Return how to do without the server that is configured, by where it is configured."""
    if os.environ.get("PREFECT_API_URL"):
        return "`unset PREFECT_API_URL` to do without"
    context = get_settings_context()
    if any(setting.name == "PREFECT_API_URL" for setting in context.profile.settings):
        return f"`prefect config unset --yes PREFECT_API_URL` (it is in the profile {context.profile.name})"
    return "remove api.url from prefect.toml, pyproject.toml or .env"


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
        # Before the server listens, Linux may connect an attempt to itself: its answer is no HTTP.
        health = suppress(OSError, http.client.HTTPException)
        with health, urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310
            return
        time.sleep(0.1)
    _refuse_full(lines)
    output = f" ({lines[-1]})" if lines else ""
    raise UserError(
        f"Prefect's temporary server did not start{output}; "
        "run `prefect server start` and set PREFECT_API_URL to its address"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
