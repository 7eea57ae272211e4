"""What every stage shares: its lock, one-line errors, exit status, progress lines, usage record."""

import errno
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress

from gan.errors import Unreachable, UserError
from gan.files import run_lock
from gan.runtime import interrupted, stage_log
from gan.runtime.energy import USED
from gan.runtime.forecast import Forecast, clock
from gan.runtime.locales import accept_any_text
from gan.runtime.packages import hold

LINE_SECONDS = 10.0  # between two progress lines where stderr is a file or a pipe
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of errors, those of a write
NO_ARGUMENTS = "a stage takes no arguments; params.yaml holds its settings, and `dvc repro NAME` runs it"


def run(name: str, body: Callable[[], None], *, lock: bool = True, stage: bool = True) -> None:
    """Run stage ``name`` with the pinned packages, under its lock; a user's error is one line, exit status 1.

    SIGTERM raises KeyboardInterrupt, so that the blocks that clean up run; exit status 130.
    ``lock`` is off in a process that leaves the files to another one. What may pass by itself
    (`Unreachable`) has exit status 75, as sysexits.h names it. What a run that ends well takes goes to
    .runs/usage/NAME.json: it varies between identical runs, so neither DVC nor git is to see it.
    ``stage`` is off for what is no stage: that takes arguments, and leaves the stages' records alone.
    """
    accept_any_text()
    if stage and sys.argv[1:]:
        asked = sys.argv[1] in ("-h", "--help")
        print(NO_ARGUMENTS if asked else f"error: {sys.argv[1]}: {NO_ARGUMENTS}", file=sys.stderr)
        sys.exit(0 if asked else 2)
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.filterwarnings("ignore", category=FutureWarning)
    USED.begin()
    stage_log.kept = stage
    try:
        if unpinned := hold(name):
            say(name, unpinned)
        with run_lock(name) if lock else nullcontext():
            body()
            if stage:
                USED.write(name)
    except UserError as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway; torchrun would interrupt that
        print(f"error: {error}", file=sys.stderr, flush=True)
        stage_log.keep(f"{name:<9} error: {error}")
        sys.exit(os.EX_TEMPFAIL if isinstance(error, Unreachable) else 1)
    except OSError as error:
        if error.filename is None:  # not about a file of ours: a fault of the program
            raise
        full = "; nothing half-written was left there" if error.errno in NO_ROOM else ""
        sys.exit(f"error: {error.filename}: {error.strerror}{full}")
    except KeyboardInterrupt as interrupt:
        stage_log.keep(" ".join([f"{name:<9} interrupted", *map(str, interrupt.args)]))
        interrupted.leave(" ".join([f"{name}: interrupted", *map(str, interrupt.args)]))


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def say(stage: str, text: str) -> None:
    """Print one line of progress."""
    print(f"{stage:<9} {text}", file=sys.stderr, flush=True)
    stage_log.keep(f"{stage:<9} {text}")


class Progress:
    """Progress of a loop of known or unknown length, on stderr.

    On a terminal one line is redrawn in place; otherwise a line is printed every
    ``LINE_SECONDS``, and always the last. ``images``: so many in a unit, for the speed to be told.
    ``forecast``: what to say after the first units, where it is told of each.
    """

    def __init__(
        self,
        stage: str,
        total: int | None,
        unit: str,
        images: int | None = None,
        forecast: Forecast | None = None,
    ) -> None:
        self.stage, self.total, self.unit, self.images = stage, total, unit, images
        self.forecast, self.text = forecast, ""
        self.terminal = sys.stderr.isatty()
        self.printed_at = self.kept_at = time.monotonic()
        self.first: tuple[float, int] | None = None  # when and where counting began: resumed, not at 0

    def update(self, done: int, text: str = "") -> None:
        """Say that ``done`` units are done, with ``text`` behind the figures, or the one before it."""
        self.text = text or self.text
        if self.forecast and self.total and (line := self.forecast.after(self.total - done)):
            print("\r\x1b[K" if self.terminal else "", end="", file=sys.stderr)
            say(self.stage, line)
        now = time.monotonic()
        if self.first is None:
            self.first = now, done
        if now - self.printed_at < (0.2 if self.terminal else LINE_SECONDS) and done != self.total:
            return
        self.printed_at = now
        USED.look()
        rate = (done - self.first[1]) / max(now - self.first[0], 1e-9)
        of = f"/{self.total}" if self.total else ""
        fields = [f"{self.unit} {done}{of}", self.text]
        if self.images and rate > 0:
            fields.append(f"{rate * self.images:.0f} images/s")
        if self.total and rate > 0 and done < self.total:
            fields.append(f"{clock((self.total - done) / rate)} left")
        line = f"{self.stage:<9} " + "  ".join(field for field in fields if field)
        if now - self.kept_at >= LINE_SECONDS or done == self.total:
            self.kept_at = now
            stage_log.keep(line)
        end = "\n" if not self.terminal or done == self.total else ""
        if self.terminal:  # a longer line would wrap, and could not be drawn over
            line = line[: _columns() - 1]
        with suppress(BrokenPipeError):
            print(("\r\x1b[K" if self.terminal else "") + line, end=end, file=sys.stderr, flush=True)


def _columns() -> int:
    """Return the width of the terminal on stderr; 80 where it is not known."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
