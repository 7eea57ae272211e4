"""A process that has imported what the stage needs, and forks a child for each run of it.

Importing torch takes seconds and forking milliseconds, so a test can kill many runs. The child does
what `python -m gan.stages.train` does, and notes when it ended each step and how often it changed
the disk. On a line of JSON from stdin follow two on stdout: the child's pid, and how it ended.
"""

import importlib
import json
import mmap
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import Self

from tests.stages.project import ENVIRONMENT

STEPS = 1000  # at most
CHANGES = ("replace", "fsync", "unlink", "rmdir", "mkdir")  # the calls of os by which files come and go


@dataclass(frozen=True)
class End:
    """A run's end: exit status (negative: the signal's number), when each step was done, calls of CHANGES."""

    status: int
    seconds: float
    times: dict[int, float]
    changes: int


class Forker:
    """The process, seen from a test."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.training.forked"],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(self, folder: Path, *, kill_after: float | None = None, die_at: int = -1) -> End:
        """Run the stage in ``folder``; kill it after so many seconds, or at that change of the disk."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"folder": str(folder), "die_at": die_at}) + "\n")
        pid, started = int(self.process.stdout.readline()), time.monotonic()
        if kill_after is not None and not select([self.process.stdout], [], [], kill_after)[0]:
            os.kill(pid, signal.SIGKILL)
        status, times, changes = json.loads(self.process.stdout.readline())
        return End(status, time.monotonic() - started, {int(k): v for k, v in times.items()}, changes)

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=60)


def main() -> None:
    """Serve stdin."""
    for name in ("gan.stages.train", "torch._dynamo"):  # this one Adam imports when it is first called
        importlib.import_module(name)
    from gan.training.loop import Loop

    del sys.modules["gan.stages.train"]  # runpy wants to run it itself
    notes = memoryview(mmap.mmap(-1, 8 * (STEPS + 1))).cast("d")  # shared with the children
    advance = Loop.advance

    def noted(loop: Loop) -> None:
        advance(loop)
        notes[loop.step] = time.monotonic()

    Loop.advance = noted  # type: ignore[method-assign]
    for line in sys.stdin:
        for i in range(len(notes)):
            notes[i] = 0
        pid = os.fork()
        if pid == 0:
            _child(notes, **json.loads(line))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        times = {step: notes[step] for step in range(1, len(notes)) if notes[step]}
        print(json.dumps([os.waitstatus_to_exitcode(status), times, int(notes[0])]), flush=True)


def _child(notes: memoryview, folder: str, die_at: int) -> None:
    os.chdir(folder)
    os.dup2(os.open("stderr.txt", os.O_CREAT | os.O_APPEND | os.O_WRONLY), 2)
    for name in CHANGES:
        setattr(os, name, _aimed(getattr(os, name), notes, die_at))
    scandir = os.scandir
    os.scandir = lambda path=".": _Listing(sorted(scandir(path), key=lambda entry: entry.name))
    status = 99
    try:
        runpy.run_module("gan.stages.train", run_name="__main__")
        status = 0
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else 1
        if status == 1:
            print(exit_.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    os._exit(status)


class _Listing(list[os.DirEntry[str]]):
    """A folder's entries by name: some file systems list, and so delete, them in this order."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _aimed(real: Callable[..., object], notes: memoryview, die_at: int) -> Callable[..., object]:
    def call(*arguments: object, **options: object) -> object:
        if notes[0] == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        notes[0] += 1
        return real(*arguments, **options)

    return call


if __name__ == "__main__":
    main()
