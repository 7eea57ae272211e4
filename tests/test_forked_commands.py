"""The helper that forks commands: they are what `python -m` is."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.forked_commands import Forked, programs

PROGRAM = """\
import os, sys, time
print(sys.argv[1:], os.getcwd(), os.environ.get("ASKED"), os.getsid(0) == os.getpid(), flush=True)
print("error", file=sys.stderr, flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
sys.exit(int(sys.argv[1]))
"""


def start(folder: Path, *arguments: str) -> Forked:
    (folder / "program.py").write_text(PROGRAM)
    return Forked("program", arguments, folder, {**os.environ, "ASKED": "it"})


def test_arguments_folder_environment_session_and_status(tmp_path: Path) -> None:
    process = start(tmp_path, "3", "b c")
    output, _ = process.communicate(60)
    assert output == f"['3', 'b c'] {tmp_path} it True\nerror\n"
    assert process.returncode == process.wait() == process.poll() == 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_signals_end_it(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "wait")
    assert process.stdout.readline().startswith("['wait']")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    os.kill(process.pid, number)
    assert process.wait(60) == -number


def test_a_command_says_and_ends_as_by_itself(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
    by_itself = subprocess.run(
        [sys.executable, "-m", "flows.retrain", "nonesuch"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    process = Forked("flows.retrain", ["nonesuch"], tmp_path, environment)
    assert process.communicate(60)[0] == by_itself.stdout
    assert process.returncode == by_itself.returncode != 0


@pytest.mark.parametrize("sent", [0, 2, 100, 10**6])
def test_who_is_killed_while_it_asks_harms_nobody_else(tmp_path: Path, sent: int) -> None:
    """Who is gone before it has asked, amid its request, or before it has read the answer."""
    socket_of_server = Path(programs()["PATH"].split(os.pathsep)[0]).parent / "socket"
    request = {"module": "program", "arguments": ["wait"], "cwd": os.fspath(tmp_path)}
    data = json.dumps({**request, "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.fspath(socket_of_server))
        with open(os.devnull, "r+") as nothing:
            if sent:
                socket.send_fds(line, [len(data).to_bytes(4, "big")], [nothing.fileno()] * 3)
        line.sendall(data[: max(sent - 4, 0)])
        if sent > len(data):
            with selectors.DefaultSelector() as selector:
                selector.register(line, selectors.EVENT_READ)
                assert selector.select(60)  # the answer, which nobody reads
    assert start(tmp_path, "3").communicate(60)[0].startswith("['3']")
