"""Progress of a download, in whole kilobytes or megabytes."""

import sys

from gan.stage import Progress, say

_SMALL = 10_000_000  # bytes up to which kilobytes are counted


def remark(text: str) -> None:
    """Print a line during a download; on a terminal it replaces the progress line."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    say("download", text)


class Meter:
    """Reports the progress of one file on stderr: a redrawn line on a terminal, else a line now and then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._progress: Progress | None = None
        self._told = -1

    def update(self, done: int, total: int | None) -> None:
        """Report ``done`` bytes of ``total``, which may be unknown."""
        unit = 1000 if total is not None and total < _SMALL else 1_000_000
        if self._progress is None:
            whole = None if total is None else -(-total // unit)
            self._progress = Progress("download", whole, "kB" if unit == 1000 else "MB")
        count = -(-done // unit) if done == total else done // unit
        if count != self._told:
            self._told = count
            self._progress.update(count, self._name)
