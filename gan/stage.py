"""What every stage shares: its lock, its one-line errors, its exit status, its progress lines."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress

from gan.errors import Unreachable, UserError
from gan.files import run_lock

LINE_SECONDS = 10.0  # between two progress lines where stderr is a file or a pipe


def run(name: str, body: Callable[[], None], *, lock: bool = True) -> None:
    """Run stage ``name`` under its lock; turn a user's error into one line and exit status 1.

    SIGTERM raises KeyboardInterrupt, so that the blocks that clean up run; exit status 130.
    ``lock`` is off in a process that leaves the files to another one. What may pass by itself
    (`Unreachable`) has exit status 75, as sysexits.h names it.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        with run_lock(name) if lock else nullcontext():
            body()
    except UserError as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway; torchrun would interrupt that
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(os.EX_TEMPFAIL if isinstance(error, Unreachable) else 1)
    except OSError as error:
        if error.filename is None:  # not about a file of ours: a fault of the program
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}; nothing half-written was left there")
    except KeyboardInterrupt as interrupt:
        print(" ".join([f"{name}: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        sys.exit(130)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def say(stage: str, text: str) -> None:
    """Print one line of progress."""
    print(f"{stage:<9} {text}", file=sys.stderr, flush=True)


class Progress:
    """Progress of a loop of known or unknown length, on stderr.

    On a terminal one line is redrawn in place; otherwise a line is printed every
    ``LINE_SECONDS``, and always the last. ``images``: so many in a unit, for the speed to be told.
    """

    def __init__(self, stage: str, total: int | None, unit: str, images: int | None = None) -> None:
        self.stage, self.total, self.unit, self.images = stage, total, unit, images
        self.terminal = sys.stderr.isatty()
        self.shown = time.monotonic()
        self.first: tuple[float, int] | None = None  # when and where counting began: resumed, not at 0

    def update(self, done: int, text: str = "") -> None:
        """Say that ``done`` units are done, with ``text`` behind the figures."""
        now = time.monotonic()
        if self.first is None:
            self.first = now, done
        if now - self.shown < (0.2 if self.terminal else LINE_SECONDS) and done != self.total:
            return
        self.shown = now
        rate = (done - self.first[1]) / max(now - self.first[0], 1e-9)
        of = f"/{self.total}" if self.total else ""
        parts = [f"{self.unit} {done}{of}", text]
        if self.images and rate > 0:
            parts.append(f"{rate * self.images:.0f} images/s")
        if self.total and rate > 0 and done < self.total:
            parts.append(f"{_clock((self.total - done) / rate)} left")
        line = f"{self.stage:<9} " + "  ".join(part for part in parts if part)
        end = "\n" if not self.terminal or done == self.total else ""
        with suppress(BrokenPipeError):
            print(("\r\x1b[K" if self.terminal else "") + line, end=end, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
