"""One machine trains one thing at a time, unless told otherwise: whoever comes second waits its turn."""

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from flows import logs
from gan.files import RUNS, naming

POLL = 0.5  # seconds


@contextmanager
def turn(folder: Path, side_by_side: int = 1) -> Iterator[None]:
    """Hold one of ``side_by_side`` places of this machine for the block; wait until one is free.

    The kernel frees a place however its holder ends. Places are files in the checkout's .runs, named
    after the host, so that machines which share the checkout do not wait for one another.
    """
    place = folder / RUNS / "turns"
    with naming(place):
        place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"{platform.node() or 'host'}-{number}.lock" for number in range(side_by_side)]
    file = _take(paths)
    if file is None:
        logs.logger().info("waits its turn: %s at work here", _holders(paths))
    while file is None:
        time.sleep(POLL)
        file = _take(paths)
    with file:
        yield


def _take(paths: list[Path]) -> BinaryIO | None:
    for path in paths:
        file = open(path, "a+b")  # noqa: SIM115 - closing it would free the place
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        return file
    return None


def _holders(paths: list[Path]) -> str:
    found = sorted({path.read_text(encoding="utf-8") for path in paths} - {""})
    return f"process{'es' * (len(found) > 1)} {', '.join(found) or 'unknown'}"
