"""Retries for all downloads: time limits, waits between attempts, and one line for any failure."""

import errno
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import TypeVar
from urllib.parse import urlsplit

from gan.download.byte_progress import remark
from gan.errors import Unreachable, UserError
from gan.files import naming
from gan.urls import redacted, redacted_error

SOCKET_SECONDS = 30.0  # a server silent for so long is given up
STALL_SECONDS = 90.0  # so is any download whose files have not grown, whatever library waits
LISTING_SECONDS = 1800.0  # a store of a million objects takes minutes to list them, and nothing grows
ATTEMPTS = 4  # in a row that bring nothing new, at one address
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds between them, doubled each time; a server may ask for more
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # no server's
_CLIENTS = {"aiohttp", "botocore", "asyncssh", "urllib3"}  # their errors are no OSErrors
# Among them, those that no waiting mends: wrong keys, an unknown host, a certificate that is not trusted.
_FINAL = re.compile(
    r"PermissionDenied|HostKey|Credential|KeyImport|ParamValidation|CERTIFICATE_VERIFY_FAILED"
)

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """The source and target of a download, as error lines show them.

    ``source``: the param's value. ``address``: the address that is requested. ``advice``: what to do if it
    fails. ``folder``: the folder of the partial file. ``silent``: hosts that were given up; they get one
    attempt for each further file.
    """

    source: str
    address: str
    advice: str
    folder: Path
    silent: set[str] = field(default_factory=set)

    def failure(self, why: str, kind: type[UserError] = UserError) -> UserError:
        """Return the error that explains why the download failed."""
        name = f"{redacted(self.source)}: " if self.source != self.address else ""
        return kind(f"data.source: {name}no download from {redacted(self.address)} ({why}); {self.advice}")


class Stalled(Exception):
    """No bytes arrived for too long. Not an OSError, because clients would handle it as their own."""


def download(
    request: Request,
    attempt: Callable[[], T],
    reached: Callable[[], int] = lambda: 0,
    patience: float | None = None,
) -> T:
    """Return the result of ``attempt``, retrying after temporary failures.

    ``reached`` returns the number of bytes present: an attempt that brings more than ever before does not
    count. The wait between attempts doubles and is partly random, so that clients do not all return at
    once. ``patience``: seconds without growth that are allowed. Raises UserError, or Unreachable if trying
    later may help. An OSError of the local disk is passed on.
    """
    best, failures = reached(), 0
    while True:
        try:
            with _bounded(request.folder, patience or STALL_SECONDS):
                return attempt()
        except UserError:
            raise
        except Exception as error:  # each file system and downloader has exceptions of its own
            if _of_our_disk(error, request.folder):
                with naming(request.folder):
                    raise
            why = _cause(error)
            if not may_pass(error):
                raise request.failure(why) from error
            failures = 1 if reached() > best else failures + 1
            best = max(best, reached())
            host = urlsplit(request.address).netloc
            if failures == ATTEMPTS or host in request.silent:
                request.silent.add(host)
                raise request.failure(why, Unreachable) from error
            wait = _wait(error, failures)
            remark(f"{redacted(request.address)}: {why}; trying again in {wait:.0f} s")
        time.sleep(wait)


def _cause(error: BaseException) -> str:
    """Return the cause of an error, without secrets, from inside the layers of HTTP clients."""
    while type(error).__module__.partition(".")[0] in ("requests", "urllib3") and error.__context__:
        error = error.__context__
    name, text = type(error).__name__, str(error)
    return redacted_error(text if text.startswith(name) else f"{name}: {text}".rstrip(": "))[:200]


def _of_our_disk(error: Exception, folder: Path) -> bool:
    if not isinstance(error, OSError):
        return False
    return error.errno in _DISK or Path(str(error.filename)).is_relative_to(folder)


def may_pass(error: Exception) -> bool:
    """Say whether an error is temporary: one of the connection or the server, not of the request."""
    status = _status(error)
    if status is not None:
        return status >= 500 or status in (408, 425, 429)  # time-out, too early, too many requests
    if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError, ValueError)):
        return False
    if isinstance(error, Stalled):
        return True
    if _FINAL.search(f"{type(error).__name__}: {error}"):
        return False
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _CLIENTS


def _status(error: Exception) -> int | None:
    """Return the HTTP status that an error carries, if any."""
    for holder in (getattr(error, "response", None), error):  # requests' errors; aiohttp's and urllib's
        for name in ("status_code", "status", "code"):
            status = getattr(holder, name, None)
            if isinstance(status, int) and 400 <= status < 600:  # asyncssh has codes of its own
                return status
    return None


def _wait(error: Exception, failures: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    wait: float = FIRST_WAIT * 2 ** (failures - 1) * SystemRandom().uniform(0.5, 1.5)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    with suppress(ValueError):  # it may also be a date, which few servers send
        wait = max(wait, float(str(headers.get("Retry-After"))))
    return min(wait, LONGEST_WAIT)


@contextmanager
def _bounded(folder: Path, seconds: float) -> Iterator[None]:
    """Limit the waiting in the block, whichever library waits."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SOCKET_SECONDS)
    try:
        with _no_stall(folder, seconds):
            yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _no_stall(folder: Path, seconds: float) -> Iterator[None]:
    """Raise Stalled in the block if nothing under ``folder`` grows for ``seconds``.

    Timeouts of libraries differ or are missing; the timer's signal interrupts all of them.
    """
    if threading.current_thread() is not threading.main_thread():  # signals reach only that one
        yield
        return
    seen = -1

    def look(_signal: int, _frame: object) -> None:
        nonlocal seen
        size = 0
        for path in folder.rglob("*"):
            with suppress(OSError):  # just moved away
                size += path.stat().st_size
        if size == seen:
            raise Stalled(f"no byte came for {seconds:.0f} seconds")
        seen = size

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
