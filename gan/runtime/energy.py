"""What a stage's run takes: time, memory, and energy by the machine's own counters."""

import ctypes
import json
import os
import resource
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan.files import RUNS, write_json
from gan.runtime import memory

USAGE = RUNS / "usage"  # a record a stage: what its last run took
POWERCAP = Path("/sys/class/powercap")
MOST_WATTS = 500.0  # of one processor: a counter that may have gone round unseen is not believed


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
            earlier = before if before.get("ended", 0) >= self.started else {}
            times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            ended = time.time()
            record = {
                "started": round(self.started, 3),
                "ended": round(ended, 3),
                "seconds": round(ended - self.started, 3),
                "cpu_seconds": round(sum(usage.ru_utime + usage.ru_stime for usage in times), 3),
                "peak_rss_bytes": max(memory.peak(), memory.peak_of_children()),
                "joules": self.energy.joules() if self.energy else None,
            }
            write_json(path, {**earlier, **record, **self.facts})


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
        joules = {} if self.processor is None else {"processor": round(self.processor, 1)}
        now = _millijoules(self.nvml)
        if self.accelerator is not None and now is not None and now >= self.accelerator:
            joules["accelerator"] = round((now - self.accelerator) / 1e3, 1)
        return joules or None


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
