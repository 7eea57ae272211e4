"""What every download shares: bounded waiting, no secrets in messages, one line for any failure."""

import errno
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from gan.errors import Unreachable, UserError

SOCKET_SECONDS = 30.0  # a server silent for so long is given up
STALL_SECONDS = 90.0  # so is any download whose files have not grown, whatever library waits
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}
_CLIENTS = {"aiohttp", "botocore", "asyncssh"}  # their errors are no OSErrors
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+")


def is_address(source: str) -> bool:
    """Say whether a source is given as an address (``https://…``), not as a path."""
    return _ADDRESS.match(source) is not None


def shown(text: str) -> str:
    """Return a text with what may be secret taken out of its addresses: user, password, query."""

    def clean(match: re.Match[str]) -> str:
        parts = urlsplit(match[0])
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    return _ADDRESS.sub(clean, text)


@contextmanager
def downloading(source: str, address: str, advice: str, folder: Path) -> Iterator[None]:
    """Bound the waiting in the block, and turn whatever it raises into the user's one line.

    ``folder`` is where the download grows. A full or read-only disk stays an OSError.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SOCKET_SECONDS)
    try:
        with _no_stall(folder):
            yield
    except UserError:
        raise
    except Exception as error:  # each file system and downloader has exceptions of its own
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        why = shown(f"{type(error).__name__}: {error}".rstrip(": "))[:200]
        name = f"{source}: " if source != address else ""
        kind = Unreachable if _may_pass(error) else UserError
        raise kind(f"data.source: {name}no download from {shown(address)} ({why}); {advice}") from error
    finally:
        socket.setdefaulttimeout(before)


def _may_pass(error: Exception) -> bool:
    """Say whether an error is one of the line or the server, and not of what was asked for."""
    status = getattr(error, "status", getattr(error, "code", None))  # aiohttp's, urllib's
    if isinstance(status, int):
        return status >= 500 or status in (408, 429)  # time-out, too many requests
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return False
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _CLIENTS


@contextmanager
def _no_stall(folder: Path) -> Iterator[None]:
    """Raise TimeoutError in the block when for ``STALL_SECONDS`` nothing under ``folder`` has grown.

    A library's own timeouts differ or are missing; the clock's signal interrupts any of them.
    """
    if threading.current_thread() is not threading.main_thread():  # signals reach only that one
        yield
        return
    seen = -1

    def look(_signal: int, _frame: object) -> None:
        nonlocal seen
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size == seen:
            raise TimeoutError(f"no byte came for {STALL_SECONDS:.0f} seconds")
        seen = size

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, STALL_SECONDS, STALL_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
