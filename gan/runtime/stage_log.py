"""The lines that stages print, kept in .runs/live/log.txt for `ganflow watch`; the oldest go first."""

import time
from contextlib import suppress

from gan.files import RUNS, write_bytes

LOG = RUNS / "live" / "log.txt"
MOST = 256 * 1024  # bytes
kept = False  # by this process: a stage's lines are, an export's are not


def keep(line: str) -> None:
    """Append a line with the time; where it cannot be written, do nothing."""
    if not kept:
        return
    with suppress(OSError):
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with open(LOG, "ab") as file:
            file.write(f"{time.strftime('%H:%M:%S')}  {line}\n".encode(errors="replace"))
            size = file.tell()
        if size > MOST:
            half = LOG.read_bytes()[-MOST // 2 :]
            write_bytes(LOG, half[half.find(b"\n") + 1 :])
