"""A lock so that a machine trains one model at a time (or as many as allowed); others wait."""

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.system import logs
from gan.files import RUNS, lock_holder, take_lock

POLL = 0.5  # seconds


@contextmanager
def machine_slot(folder: Path, side_by_side: int = 1, what: str = "training") -> Iterator[str]:
    """Hold one of ``side_by_side`` slots of this machine for the block, after waiting for it; yield its name.

    Only holders with the same ``what`` wait for each other. The kernel frees a slot however its holder
    ends. Slots are lock files in the checkout's .runs, named after the host, so machines that share the
    checkout do not wait for each other.
    """
    locks = folder / RUNS / "turns"
    paths = [locks / f"{what}-{platform.node() or 'host'}-{number}.lock" for number in range(side_by_side)]
    logged = False
    while (taken := next(((path, file) for path in paths if (file := take_lock(path))), None)) is None:
        if not logged:
            holders = sorted({lock_holder(path) for path in paths} - {"unknown"})
            who = f"process{'es' * (len(holders) > 1)} {', '.join(holders) or 'unknown'}"
            logs.logger().info("waits its turn: %s at work here", who)
            logged = True
        time.sleep(POLL)
    path, file = taken
    with file:
        yield path.stem
