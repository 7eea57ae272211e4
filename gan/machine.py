"""What a result's bits depend on besides code, params and data: processor, accelerator, versions.

`train` writes it to reports/machine.json, which git keeps and DVC does not know: a revision then says
where it was made, and no out holds anything that another machine would write differently. Free of
torch: `flows.reproduce` asks it too.
"""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from gan.files import write_json

MACHINE = Path("reports/machine.json")
HARDWARE = ("system", "processor", "instructions", "accelerator")
# Vector units that math libraries choose their code by, as Linux names them.
_UNITS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "bf16", "sve", "sve2")
_COMPUTING = ("numpy", "pandas", "pillow", "scikit-learn", "scipy", "torch", "torchvision")


def describe(accelerator: str | None) -> dict[str, Any]:
    """Return the machine: system, processor, vector units, accelerator; Python and what computes.

    ``accelerator`` is the name of the one that trains, None for the processor alone.
    """
    name, units = _processor()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": name,
        "instructions": [unit for unit in _UNITS if unit in units],
        "accelerator": accelerator,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "packages": {package: version for package in _COMPUTING if (version := _version(package))},
    }


def accelerator() -> str | None:
    """Return the name of the first NVIDIA GPU as its driver on Linux gives it; None where there is none."""
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key == "Model":
                return value.strip()
    return None


def write(accelerator: str | None) -> None:
    """Write reports/machine.json."""
    write_json(MACHINE, describe(accelerator))


def _processor() -> tuple[str, set[str]]:
    """Return the processor's name and what it can do, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    name = facts.get("model name") or platform.processor() or platform.machine()
    return name, set((facts.get("flags") or facts.get("Features") or "").split())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
