"""How much memory there is, and how much of it this process has taken."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss


def peak() -> int:
    """Return this process's largest resident size in bytes.

    Linux keeps ru_maxrss over exec: it may be that of the shell or of DVC, which started this.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def peak_of_children() -> int:
    """Return the largest resident size in bytes among the processes that this one has waited for."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_UNIT


def available() -> int | None:
    """Return the bytes that this process can still take: the machine's, its container's or its limit's.

    None where the system does not tell.
    """
    found = []
    with suppress(OSError, ValueError):
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        found.append(sum(int(fields[key].split()[0]) for key in ("MemAvailable", "SwapFree")) * 1024)
    with suppress(OSError, ValueError):
        limit = int((CONTROL_GROUP / "memory.max").read_text())  # "max" where there is none
        found.append(limit - int((CONTROL_GROUP / "memory.current").read_text()))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    with suppress(OSError, ValueError, IndexError):
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            found.append(limit - pages * resource.getpagesize())
    return max(min(found), 0) if found else None


def shown(size: float) -> str:
    """Return bytes as text, in GB or MB."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
