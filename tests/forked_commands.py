"""Commands as processes of their own, forked from one that has imported what is heavy already.

Importing torch, Prefect, DVC or Great Expectations takes seconds of processor time, and tests run such
commands by the hundred. pytest's workers share the process that forks: `fork_server` starts with the first
command and ends with the tests.

``Forked`` is for a test that starts one command. ``programs`` is a folder to put first on PATH: what runs
`python -m`, `dvc` or `ganflow`, however deep below, has them forked too.
"""

import atexit
import json
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent


class Forked:
    """A command that runs: what tests use of `subprocess.Popen`. Output and errors come as one text."""

    def __init__(self, module: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]):
        self.args = [module, *arguments]
        self.returncode: int | None = None
        self._line = _connected(_server())
        request = {"module": module, "arguments": [*arguments], "cwd": os.fspath(cwd)}
        if "FORKED_PYTHON" in environment:
            request["executable"] = os.fspath(_server() / "bin" / "python")
        data = json.dumps({**request, "environment": dict(environment)}).encode()
        read, write = os.pipe()
        with open(os.devnull) as nothing:
            descriptors = [nothing.fileno(), write, write]
            socket.send_fds(self._line, [len(data).to_bytes(4, "big")], descriptors)
        self._line.sendall(data)
        os.close(write)
        self.stdout = os.fdopen(read, encoding="utf-8", errors="replace")
        self.pid = self._number()

    def _number(self) -> int:
        return int(self._line.recv(12))

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self.returncode is None and _readable(self._line, 0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not _readable(self._line, timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._number()
            self._line.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Return all that it prints, when it has ended. Raises subprocess.TimeoutExpired."""
        read = bytearray()
        while _readable(self.stdout, timeout):
            if not (more := os.read(self.stdout.fileno(), 65536)):
                self.wait(timeout)
                self.stdout.close()
                return read.decode(errors="replace").replace("\r\n", "\n"), None
            read += more
        raise subprocess.TimeoutExpired(self.args, timeout or 0, bytes(read))

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


def programs() -> dict[str, str]:
    """Return the variables with which `python -m`, `dvc` and `ganflow` are forked."""
    folder = _server() / "bin"
    path = os.pathsep.join([os.fspath(folder), os.fspath(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "FORKED_PYTHON": sys.executable}


def _readable(file: Any, timeout: float | None) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(file, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def _connected(folder: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.connect(os.fspath(folder / "socket"))
    return line


@cache
def _server() -> Path:
    """Return the folder of the process that forks, started if it is not there; it ends after the tests."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())
    folder = Path(tempfile.gettempdir()) / f"ganflow-forks-{run}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with FileLock(folder / "lock"):
        try:
            line = _connected(folder)
        except OSError:
            line = _start(folder)
    atexit.register(line.close)  # this one line is open while there are tests
    return folder


def _start(folder: Path) -> socket.socket:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    source = Path(__file__).with_name("forked_program.py").read_text()
    # The line behind `#!` can hold neither a space nor a long path; to Python these two are a string.
    first = f"#!/bin/sh\n'''exec' {shlex.quote(sys.executable)} -IS \"$0\" \"$@\"\n' '''\n"
    for name in ("python", "dvc", "ganflow"):
        (folder / "bin" / name).write_text(first + source)
        (folder / "bin" / name).chmod(0o700)
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    variables |= {"PYTHONPATH": os.fspath(ROOT), "PREFECT_LOGGING_COLORS": "false", "NO_COLOR": "1"}
    ready, theirs = socket.socketpair()
    with ready, theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", os.fspath(folder), str(theirs.fileno())],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        assert ready.recv(1), "the process that forks commands did not start"
    return _connected(folder)
