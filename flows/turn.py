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
def turn(folder: Path, side_by_side: int = 1, what: str = "training") -> Iterator[str]:
    """Hold one of ``side_by_side`` places of this machine for the block; wait for one; yield its name.

    ``what`` is done there: those who do other things do not wait for one another. The kernel frees a
    place however its holder ends. Places are files in the checkout's .runs, named after the host, so
    that machines which share the checkout do not wait for one another.
    """
    place = folder / RUNS / "turns"
    with naming(place):
        place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"{what}-{platform.node() or 'host'}-{number}.lock" for number in range(side_by_side)]
    found = _take(paths)
    if found is None:
        logs.logger().info("waits its turn: %s at work here", _holders(paths))
    while found is None:
        time.sleep(POLL)
        found = _take(paths)
    path, file = found
    with file:
        yield path.stem


def _take(paths: list[Path]) -> tuple[Path, BinaryIO] | None:
    for path in paths:
        file = open(path, "a+b")  # noqa: SIM115 - closing it would free the place
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        with naming(path):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
            file.flush()
        return path, file
    return None


def _holders(paths: list[Path]) -> str:
    found = sorted({path.read_text(encoding="utf-8") for path in paths} - {""})
    return f"process{'es' * (len(found) > 1)} {', '.join(found) or 'unknown'}"
