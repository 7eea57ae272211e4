"""The only module that starts processes. Each ends, with its children, when its caller ends.

A guard process runs between a caller and its command: this file, run as a script. It leads the session
and process group in which the command runs, and holds one end of a socket pair. When the caller closes
the other end, or dies, the guard stops the whole group. A `finally` in the caller is not enough: `kill -9`
skips it, and stopping only dvc would leave the stage's process running.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TERM_AFTER, KILL_AFTER = 8.0, 12.0  # seconds after SIGINT
LIMIT = 15.0  # until a group is killed whose guard is no longer able to
POLL = 0.02


class Stopped(Exception):
    """A command was stopped, or not started, because its run is ending."""


def read(
    argv: Sequence[str], root: Path, environment: Mapping[str, str], given: bytes = b""
) -> tuple[int, bytes, str]:
    """Run a short command; return its status, its standard output, and its standard error as one line."""
    done = subprocess.run(argv, cwd=root, env=environment, input=given, capture_output=True, check=False)
    return done.returncode, done.stdout, " ".join(done.stderr.decode(errors="replace").split())


@dataclass(frozen=True, eq=False)
class _Command:
    process: "subprocess.Popen[str]"
    line: socket.socket  # closed towards the guard: stop; from the guard comes the exit status

    def let_go(self) -> None:
        """Make the guard stop the group; if the guard is dead, stop the group directly."""
        with suppress(OSError):
            self.line.shutdown(socket.SHUT_WR)
        if self._guard_ended():
            self._kill()

    def finish(self) -> int:
        """Stop what is left of the group and return the command's exit status."""
        self.let_go()
        deadline = time.monotonic() + LIMIT
        while not self._guard_ended() and time.monotonic() < deadline:
            time.sleep(POLL)
        with self.process, self.line:
            self._kill()
            status = self.line.recv(1) if _readable(self.line.fileno()) else b""
        return status[0] if status else 128 + signal.SIGKILL

    def _guard_ended(self) -> bool:
        # It is not reaped by this: until it is, its group's number cannot become another's.
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # none there; on macOS, zombies only
            os.killpg(self.process.pid, signal.SIGKILL)


class Commands:
    """The commands of one run: started side by side from several threads, stopped together."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._root, self._environment = root, environment
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._live: set[_Command] = set()
        self._count = 0  # of those whose processes may still be there
        self._stopped = ""

    def run(self, argv: Sequence[str], on_line: Callable[[str], object]) -> int:
        """Run ``argv`` in the root, pass on its output line by line, and return its exit status.

        Standard output and error are one stream. A command killed by signal N has status 128 + N.
        However the call ends, no process of the command's group is left. Raises Stopped when
        `stop` was called.
        """
        command = self._start(argv)
        try:
            for line in command.process.stdout or ():
                on_line(line.rstrip("\n"))
        finally:
            with self._lock:
                self._live.discard(command)
            try:
                status = command.finish()
            finally:
                with self._changed:
                    self._count -= 1
                    self._changed.notify_all()
        if self._stopped:
            raise Stopped(self._stopped)
        return status

    def stop(self, why: str = "stopped") -> None:
        """Stop what runs and start nothing more. Returns at once; each `run` ends when it is done."""
        with self._changed:
            self._stopped = self._stopped or why
            for command in self._live:
                command.let_go()
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait, after `stop`, until no process is left: what they write may then be removed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count, LIMIT + POLL)

    def rest(self, seconds: float) -> None:
        """Wait before a command is tried again. Raises Stopped when `stop` was or is called."""
        with self._changed:
            if self._changed.wait_for(lambda: bool(self._stopped), seconds):
                raise Stopped(self._stopped)

    def _start(self, argv: Sequence[str]) -> _Command:
        with self._lock:
            if self._stopped:
                raise Stopped(self._stopped)
            ours, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", __file__, *argv],
                    cwd=self._root,
                    env=self._environment,
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            command = _Command(process, ours)
            self._live.add(command)
            self._count += 1
        return command


def last_line(lines: Sequence[str], otherwise: str = "it said nothing") -> str:
    """Return a command's last line that is not empty: as a rule, the reason of its failure."""
    return next((line.strip() for line in reversed(lines) if line.strip()), otherwise)


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def guard(argv: list[str]) -> None:
    """Run ``argv`` in this process's group, with a caller's socket as standard input.

    Returns when no process is left. Ctrl-C's signal comes first: on it DVC waits for its stage
    and leaves its locks in order. What outlives the command itself is not given that time.
    """
    _adopt_orphans()
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the guard stays
        signal.signal(number, lambda *_: None)
    child = _spawn(argv)
    steps = [(0.0, signal.SIGINT), (TERM_AFTER, signal.SIGTERM), (KILL_AFTER, signal.SIGKILL)]
    since: float | None = None
    while True:
        try:
            pid, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid and pid == child:
            _report(os.waitstatus_to_exitcode(raw))
            since = min(since or time.monotonic(), time.monotonic() - TERM_AFTER)
        elif since is None and _readable(0):
            since = time.monotonic()
        while pid == 0 and since is not None and steps and time.monotonic() - since >= steps[0][0]:
            os.killpg(0, steps.pop(0)[1])  # SIGKILL ends the guard too
        if pid == 0:
            time.sleep(POLL)


def _spawn(argv: list[str]) -> int:
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    heard = [signal.SIGINT, signal.SIGTERM]  # also where this run was started deaf to them (nohup)
    try:
        return os.posix_spawnp(argv[0], argv, os.environ, file_actions=[null], setsigdef=heard)
    except OSError as error:
        print(f"error: {argv[0]}: {error.strerror}", flush=True)
        _report(127)
        return -1


def _report(status: int) -> None:
    with suppress(OSError):  # the caller is gone
        os.write(0, bytes([status if status >= 0 else 128 - status]))


def _adopt_orphans() -> None:
    """Adopt processes whose parent died, if the system supports it (Linux).

    Elsewhere the guard waits for the command alone, and its caller kills the rest of the group.
    """
    if sys.platform == "linux":
        set_child_subreaper = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


if __name__ == "__main__":
    guard(sys.argv[1:])
