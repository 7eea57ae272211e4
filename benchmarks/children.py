"""The parent's side: workers of ours, which are asked, and foreign peers, which are watched."""

import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.contestants import ROOT, Job
from gan.errors import UserError


class _Child:
    """A process group that ends with ``close``; its stderr goes to a file, for the reason of a failure."""

    def __init__(self, name: str, command: list[str], threads: int, log: Path, **options: Any) -> None:
        self.name, self.log = name, log
        variables = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        try:
            with log.open("wb") as stderr:
                # A group, so that loader workers are stopped too; of this session, since the kernel
                # ends the stopped processes of a group whose parent has died.
                self.process = subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, **variables},
                    process_group=0,
                    **options,
                )
        except OSError as error:
            raise UserError(f"{name}: cannot start {command[0]}: {error.strerror}") from None

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def close(self) -> None:
        """Kill the group, stopped or not."""
        self.signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def ended(self) -> UserError:
        """Return the error of a child that ended too early."""
        status = self.process.wait()
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        messages = [line.strip() for line in lines if line.strip()]
        return UserError(
            f"{self.name} ended with exit status {status}: {messages[-1] if messages else 'no message'}"
        )


class Worker(_Child):
    """A contestant of ours. It lives as long as the run: start, compilation and capture are paid once."""

    def __init__(self, job: Job, log: Path) -> None:
        super().__init__(job.name, worker.command(job), job.threads, log, stdin=subprocess.PIPE, cwd=ROOT)

    def begin(self) -> float:
        """Wait until it is built; return the FLOPs of one of its steps."""
        flops: float = self._answer()["flops"]
        return flops

    def chunk(self, warmup: int, steps: int) -> list[float]:
        """Return the seconds of each of ``steps`` steps, after ``warmup`` unmeasured ones."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{warmup} {steps}\n".encode())
            self.process.stdin.flush()
        seconds: list[float] = self._answer()["seconds"]
        return seconds

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self.ended()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UserError(answer["error"])
        return answer


class Peer(_Child):
    """A foreign command that prints a line at each step; stopped whenever it is not its turn.

    Steps right after a stop are dropped: its data loader may have run ahead while the step before
    the stop was still computing.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        threads: int,
        log: Path,
        pattern: re.Pattern[str],
        patience: float,
    ) -> None:
        super().__init__(name, command, threads, log, stdin=subprocess.DEVNULL)
        self.pattern, self.patience = pattern, patience
        self.lines: queue.SimpleQueue[tuple[float, str | None]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def begin(self) -> None:
        """Wait for its first step, then hold it."""
        self.chunk(1, 0)

    def chunk(self, drop: int, steps: int) -> list[float]:
        """Return the seconds of each of ``steps`` steps, after ``drop`` ones, at least 1."""
        begun = time.perf_counter()
        self.signal(signal.SIGCONT)
        stamps = [self._step(begun) for _ in range(drop + steps)]
        self.signal(signal.SIGSTOP)
        return [after - before for before, after in pairwise(stamps[drop - 1 :])]

    def _read(self) -> None:
        """Stamp lines as they arrive."""
        assert self.process.stdout is not None
        with suppress(ValueError):  # closed
            for line in self.process.stdout:
                self.lines.put((time.perf_counter(), line.decode(errors="replace")))
        self.lines.put((time.perf_counter(), None))

    def _step(self, begun: float) -> float:
        """Return when the next step's line arrives; one from before ``begun`` was under way at the stop."""
        deadline = time.perf_counter() + self.patience
        while True:
            try:
                stamp, line = self.lines.get(timeout=max(0.0, deadline - time.perf_counter()))
            except queue.Empty:
                raise UserError(
                    f"{self.name}: no step within {self.patience:g} seconds, that is, no line that matches "
                    f"--peer-step {self.pattern.pattern}; raise --patience or correct the pattern"
                ) from None
            if line is None:
                raise self.ended()
            if stamp >= begun and self.pattern.search(line):
                return stamp
