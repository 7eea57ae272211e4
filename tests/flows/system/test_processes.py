"""Processes: their output, their status, and that none is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from flows.system.processes import Commands, Stopped
from flows.system.variables import environment, site_cache
from tests.conftest import ROOT
from tests.flows.harness import wait_for

DEAF = """import signal, time
for number in (2, 15): signal.signal(number, signal.SIG_IGN)
print('deaf', flush=True); time.sleep(600)"""
PARENT = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', sys.argv[1]])\ntime.sleep({})"


def living(folder: Path) -> list[psutil.Process]:
    processes = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder:
                processes.append(process)
        except psutil.Error:
            pass
    return processes


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path, environment(tmp_path))


def run(commands: Commands, *argv: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    return commands.run(argv, lines.append), lines


def test_output_and_status(commands: Commands) -> None:
    assert run(commands, "sh", "-c", "echo one; echo two >&2; exit 7") == (7, ["one", "two"])
    assert run(commands, "sh", "-c", "kill -9 $$")[0] == 137
    assert run(commands, "no such program") == (127, ["error: no such program: No such file or directory"])
    assert run(commands, "python", "-c", r"import sys; sys.stdout.buffer.write(b'\xff\n')") == (0, ["\ufffd"])
    assert run(commands, "sh", "-c", "cat") == (0, [])  # no standard input


def test_arguments_are_not_read_by_a_shell(commands: Commands, tmp_path: Path) -> None:
    assert run(commands, "echo", "$(touch x); `touch y` *") == (0, ["$(touch x); `touch y` *"])
    assert not list(tmp_path.glob("[xy]"))


def test_lines_come_as_they_are_printed(commands: Commands) -> None:
    times: list[float] = []
    program = "import time\nfor _ in range(3): print('x'); time.sleep(0.3)"
    commands.run(["python", "-c", program], lambda _line: times.append(time.monotonic()))
    assert len(times) == 3
    assert times[2] - times[0] > 0.4


def test_this_interpreter_comes_first(commands: Commands) -> None:
    assert run(commands, "python", "-c", "import sys; print(sys.prefix)") == (0, [sys.prefix])


def test_no_telemetry(commands: Commands) -> None:
    _, lines = run(commands, "env")
    assert {"DO_NOT_TRACK=1", "DVC_NO_ANALYTICS=1", "GX_ANALYTICS_ENABLED=false"} <= set(lines)
    assert {"PREFECT_SERVER_ANALYTICS_ENABLED=false", "PYTHONUNBUFFERED=1"} <= set(lines)


def test_site_cache_is_private(tmp_path: Path) -> None:
    cache = site_cache(tmp_path, {})
    assert cache is not None
    assert cache.is_absolute()
    assert cache.stat().st_mode & 0o077 == 0
    assert site_cache(tmp_path, {"DVC_SITE_CACHE_DIR": "/elsewhere"}) is None
    (tmp_path / ".dvc" / "config.local").write_text("[core]\n    site_cache_dir = /elsewhere\n")
    assert site_cache(tmp_path, {}) is None


def test_what_outlives_its_command_is_ended(commands: Commands, tmp_path: Path) -> None:
    started = time.monotonic()
    assert run(commands, sys.executable, "-c", PARENT.format(1), DEAF) == (0, ["deaf"])
    assert time.monotonic() - started < 10
    assert living(tmp_path) == []


def test_stop_ends_all_and_lets_nothing_start(commands: Commands, tmp_path: Path) -> None:
    lines: list[str] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            commands.run([sys.executable, "-c", PARENT.format(600), DEAF], lines.append)
        except Stopped as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: lines.count("deaf") == 2, 20)
    commands.stop()
    for thread in threads:
        thread.join(20)
    assert len(raised) == 2
    assert living(tmp_path) == []
    with pytest.raises(Stopped):
        commands.run(["true"], lines.append)


def test_a_raising_reader_ends_the_command(commands: Commands, tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="started"):
        commands.run(["sh", "-c", "echo started; sleep 600"], refuse)
    assert living(tmp_path) == []


CALLER = """
import sys
from pathlib import Path
from flows.system.processes import Commands
from flows.system.variables import environment
commands = Commands(Path(), environment(Path()))
commands.run([sys.executable, "-c", *sys.argv[1:]], lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("victim", ["caller", "guard"])
def test_kill_9_leaves_nothing(tmp_path: Path, victim: str) -> None:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", CALLER, PARENT.format(600), DEAF]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "deaf\n"
        guard = psutil.Process(caller.pid).children()[0]
        assert len(guard.children(recursive=True)) == 2
        if victim == "caller":
            caller.kill()
        else:
            guard.kill()
            caller.send_signal(signal.SIGINT)
        wait_for(lambda: not living(tmp_path), 20)
