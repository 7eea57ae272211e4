"""What a long loop will take, said after its first steps: the time that is left, and the memory."""

import json
import time
from collections.abc import Callable
from contextlib import suppress

from gan.runtime import memory
from gan.runtime.energy import USAGE

FIRST, STEPS = 5, 20  # timed from one to the other: libraries choose and load their kernels before
LAST = "report"  # the stage that ends a run
LEAST_SECONDS = 10.0  # left; what is done sooner needs no forecast


class Forecast:
    """Of one loop. ``wait`` waits for the device, ``accelerator_bytes`` gives the peak of its memory."""

    def __init__(
        self,
        stage: str,
        wait: Callable[[], object] | None = None,
        accelerator_bytes: Callable[[], int] | None = None,
    ) -> None:
        self.stage, self.wait, self.accelerator_bytes = stage, wait, accelerator_bytes
        self.steps = 0
        self.began = 0.0

    def after(self, left: int) -> str | None:
        """Return the forecast after the first `STEPS` steps, with ``left`` to go; None after any other."""
        self.steps += 1
        if self.steps not in (FIRST, STEPS):
            return None
        if self.wait is not None:
            self.wait()
        if self.steps == FIRST:
            self.began = time.monotonic()
            return None
        seconds = left * (time.monotonic() - self.began) / (STEPS - FIRST)
        if seconds < LEAST_SECONDS:
            return None
        parts = [f"about {clock(seconds)} left", f"peak memory {memory.shown(memory.peak())}"]
        if self.accelerator_bytes is not None:
            parts.append(f"of the GPU {memory.shown(self.accelerator_bytes())}")
        return "; ".join([*parts, *_afterwards(self.stage)])


def _afterwards(stage: str) -> list[str]:
    """Return how long the stages after this one took, in the last run here that came to its end.

    What ended after that is of the run under way, and done.
    """
    records = {}
    for path in USAGE.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(path.read_text(encoding="utf-8"))
            records[path.stem] = float(record["ended"]), float(record["seconds"])
    if stage not in records or LAST not in records:
        return []
    after, until = records[stage][0], records[LAST][0]
    later = sorted((ended, name) for name, (ended, _) in records.items() if after < ended <= until)
    names = [name for _, name in later]
    if not names:
        return []
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return [f"then {listed}, which took {clock(sum(records[name][1] for name in names))} last time"]


def clock(seconds: float) -> str:
    """Return a time as text, such as 1h05m, 2m10s or 40s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"
