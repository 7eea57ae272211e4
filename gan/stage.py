"""What every stage shares: its lock, one-line errors, exit status, progress lines, usage record."""

import ctypes
import json
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from gan.errors import Unreachable, UserError
from gan.files import RUNS, run_lock, write_json

LINE_SECONDS = 10.0  # between two progress lines where stderr is a file or a pipe
USAGE = RUNS / "usage"  # a record a stage: what its last run took
POWERCAP = Path("/sys/class/powercap")
MOST_WATTS = 500.0  # of one processor: a counter that may have gone round unseen is not believed


def run(name: str, body: Callable[[], None], *, lock: bool = True) -> None:
    """Run stage ``name`` under its lock; turn a user's error into one line and exit status 1.

    SIGTERM raises KeyboardInterrupt, so that the blocks that clean up run; exit status 130.
    ``lock`` is off in a process that leaves the files to another one. What may pass by itself
    (`Unreachable`) has exit status 75, as sysexits.h names it. What a run that ends well takes goes to
    .runs/usage/NAME.json: it varies between identical runs, so neither DVC nor git is to see it.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.filterwarnings("ignore", category=FutureWarning)
    USED.begin()
    try:
        with run_lock(name) if lock else nullcontext():
            body()
            USED.write(name)
    except UserError as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway; torchrun would interrupt that
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(os.EX_TEMPFAIL if isinstance(error, Unreachable) else 1)
    except OSError as error:
        if error.filename is None:  # not about a file of ours: a fault of the program
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}; nothing half-written was left there")
    except KeyboardInterrupt as interrupt:
        print(" ".join([f"{name}: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        sys.exit(130)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def say(stage: str, text: str) -> None:
    """Print one line of progress."""
    print(f"{stage:<9} {text}", file=sys.stderr, flush=True)


class Progress:
    """Progress of a loop of known or unknown length, on stderr.

    On a terminal one line is redrawn in place; otherwise a line is printed every
    ``LINE_SECONDS``, and always the last. ``images``: so many in a unit, for the speed to be told.
    """

    def __init__(self, stage: str, total: int | None, unit: str, images: int | None = None) -> None:
        self.stage, self.total, self.unit, self.images = stage, total, unit, images
        self.terminal = sys.stderr.isatty()
        self.shown = time.monotonic()
        self.first: tuple[float, int] | None = None  # when and where counting began: resumed, not at 0

    def update(self, done: int, text: str = "") -> None:
        """Say that ``done`` units are done, with ``text`` behind the figures."""
        now = time.monotonic()
        if self.first is None:
            self.first = now, done
        if now - self.shown < (0.2 if self.terminal else LINE_SECONDS) and done != self.total:
            return
        self.shown = now
        USED.look()
        rate = (done - self.first[1]) / max(now - self.first[0], 1e-9)
        of = f"/{self.total}" if self.total else ""
        parts = [f"{self.unit} {done}{of}", text]
        if self.images and rate > 0:
            parts.append(f"{rate * self.images:.0f} images/s")
        if self.total and rate > 0 and done < self.total:
            parts.append(f"{_clock((self.total - done) / rate)} left")
        line = f"{self.stage:<9} " + "  ".join(part for part in parts if part)
        end = "\n" if not self.terminal or done == self.total else ""
        with suppress(BrokenPipeError):
            print(("\r\x1b[K" if self.terminal else "") + line, end=end, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


class Usage:
    """What this process, and those it has waited for, take. Measuring never fails a stage."""

    def __init__(self) -> None:
        self.started = time.time()
        self.energy: Energy | None = None
        self.facts: dict[str, Any] = {}

    def begin(self) -> None:
        """Start measuring; the process itself began before, with its imports."""
        self.facts = {}
        with suppress(OSError, ValueError, IndexError, AttributeError):
            ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
            age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
            self.started = time.time() - age
        with suppress(Exception):
            self.energy = Energy()

    def note(self, **facts: Any) -> None:
        """Add facts of the stage's own to its record."""
        self.facts |= facts

    def look(self) -> None:
        """Read the counters that go round: to be called now and then."""
        with suppress(Exception):
            if self.energy:
                self.energy.look()

    def write(self, name: str) -> None:
        """Write .runs/usage/NAME.json: times in seconds (since 1970), bytes, joules by what used them.

        Of several processes the first writes, and the launcher after it, which keeps the first one's facts.
        """
        if os.environ.get("RANK", "0") != "0" or not RUNS.is_dir():
            return
        with suppress(Exception):
            path = USAGE / f"{name}.json"
            before = json.loads(path.read_text()) if path.exists() and not self.facts else {}
            kept = before if before.get("ended", 0) >= self.started else {}
            times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            ended = time.time()
            record = {
                "started": round(self.started, 3),
                "ended": round(ended, 3),
                "seconds": round(ended - self.started, 3),
                "cpu_seconds": round(sum(part.ru_utime + part.ru_stime for part in times), 3),
                "peak_rss_bytes": max(_peak(times[0].ru_maxrss), times[1].ru_maxrss * _RSS_UNIT),
                "joules": self.energy.joules() if self.energy else None,
            }
            write_json(path, {**kept, **record, **self.facts})


_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss


def _peak(maxrss: int) -> int:
    """Return this process's largest resident size in bytes.

    Linux keeps ru_maxrss over exec: it may be that of the shell or of DVC, which started this.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return maxrss * _RSS_UNIT


class Energy:
    """The machine's own energy counters since this was made, whoever used the energy.

    ``processor``: packages and memory by Linux' powercap (RAPL), where this user may read them.
    ``accelerator``: all NVIDIA GPUs by NVML's nvmlDeviceGetTotalEnergyConsumption (Volta or newer).
    """

    def __init__(self) -> None:
        zones = sorted(POWERCAP.glob("intel-rapl:*"))
        self.zones = {path: limit for path in zones if (limit := _limit(path))}
        self.nvml = _nvml()
        self.accelerator = _millijoules(self.nvml)
        self.processor: float | None = 0.0 if self.zones else None
        self.when, self.last = time.monotonic(), self._read()

    def _read(self) -> dict[Path, int]:
        try:
            return {path: int((path / "energy_uj").read_text()) for path in self.zones}
        except (OSError, ValueError):
            self.processor = None
            return {}

    def look(self) -> None:
        """Add what the processors' counters have gone on by; they go round within minutes to hours."""
        gap, before = time.monotonic() - self.when, self.last
        self.when, self.last = time.monotonic(), self._read()
        if self.processor is None or any(gap * MOST_WATTS * 1e6 > limit for limit in self.zones.values()):
            self.processor = None
            return
        self.processor += sum((self.last[path] - before[path]) % self.zones[path] for path in before) / 1e6

    def joules(self) -> dict[str, float] | None:
        """Return the joules by what used them; None where no counter tells."""
        self.look()
        found = {} if self.processor is None else {"processor": round(self.processor, 1)}
        now = _millijoules(self.nvml)
        if self.accelerator is not None and now is not None and now >= self.accelerator:
            found["accelerator"] = round((now - self.accelerator) / 1e3, 1)
        return found or None


def _limit(zone: Path) -> int | None:
    """Return where a zone's counter goes round, in microjoules; None for a part of another zone."""
    with suppress(OSError, ValueError):
        name = (zone / "name").read_text().strip()
        int((zone / "energy_uj").read_text())
        if name.startswith("package") or name == "dram":
            return int((zone / "max_energy_range_uj").read_text())
    return None


def _nvml() -> ctypes.CDLL | None:
    """Return NVIDIA's management library, ready; None where there is none."""
    with suppress(OSError):
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == 0 else None
    return None


def _millijoules(nvml: ctypes.CDLL | None) -> int | None:
    """Return what all GPUs have used since their driver was loaded; None where one cannot tell."""
    count = ctypes.c_uint()
    if nvml is None or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) or not count.value:
        return None
    total = 0
    for index in range(count.value):
        device, used = ctypes.c_void_p(), ctypes.c_ulonglong()
        if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)):
            return None
        if nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(used)):
            return None
        total += used.value
    return total


USED = Usage()
