"""What a result's bits depend on besides code, params and data: processor, accelerator, versions.

`train` writes it to .runs/machine.json, which neither git nor DVC sees: it varies between runs that give
the same bits. What gives bits of its own is told in the outs, see `peculiar`. Free of torch:
`flows.reproduce` asks this module too.
"""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from gan.files import RUNS, write_json
from gan.runtime.packages import unpinned_packages

MACHINE = RUNS / "machine.json"
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
    """Write .runs/machine.json."""
    write_json(MACHINE, describe(accelerator))


def bits_of(accelerator: str | None, precision: str = "float32") -> str | None:
    """Return the accelerator or processor whose kind alone gives these bits.

    None where any x86-64 processor with AVX2 gives them: in float32 on the CPU.
    """
    name, units = _processor()
    if accelerator is not None:
        return accelerator
    portable = platform.machine() in ("x86_64", "AMD64") and "avx2" in units and precision == "float32"
    return None if portable else f"{platform.machine()} {name}"


def peculiar(accelerator: str | None, precision: str, *read: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes this result another one than the pins give on any x86-64 processor with AVX2.

    `unpinned` are packages that are not as pinned, by stage; `bits_of` is as above. Of this stage and of
    those whose records it has ``read``. As a rule there is neither, and the outs do not mention them.
    """
    facts = {
        "unpinned": unpinned_packages(record.get("unpinned") or {} for record in read),
        "bits_of": bits_of(accelerator, precision)
        or next((record["bits_of"] for record in read if record.get("bits_of")), None),
    }
    return {key: value for key, value in facts.items() if value}


def _processor() -> tuple[str, set[str]]:
    """Return the processor's name and what it can do, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = dict(reversed([[field.strip() for field in line.split(":", 1)] for line in lines if ":" in line]))
    name = facts.get("model name") or platform.processor() or platform.machine()
    return name, set((facts.get("flags") or facts.get("Features") or "").split())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
