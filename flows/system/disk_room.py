"""Whether a failure is for want of room on the disk, which git and DVC's database say in many ways."""

import errno
import shutil
from pathlib import Path

from gan.errors import UserError

LEAST = 2**20  # bytes; with fewer, what could not be written lacked room
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
SAID = ("unable to write file", "write error", "No space left", "database or disk is full", "disk I/O error")


def refuse(folder: Path, failure: Exception | str, what: str) -> None:
    """Raise UserError, one line with the place, where ``failure`` is for want of room; else return."""
    if isinstance(failure, OSError) and failure.errno in NO_ROOM:
        place, reason = failure.filename or folder, failure.strerror
    elif any(text in str(failure) for text in SAID) and shutil.disk_usage(folder).free < LEAST:
        place, reason = folder, "No space left on device"
    else:
        return
    raise UserError(f"{what}: {place}: {reason}; make room and run it again") from None
