"""Where tensors live and how many threads compute."""

import os
from pathlib import Path

import torch
from torch.utils import deterministic

from gan.errors import UserError


def prepare(device: str, threads: int) -> str:
    """Set threads and determinism for this process; return the device, ``cpu`` or ``cuda``.

    Raises UserError for ``cuda`` on a machine that has none.
    """
    # cuBLAS is deterministic only with a workspace of fixed size, read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Meant to show reads of memory nobody wrote; it writes every new tensor twice.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(threads)  # another count sums in another order: other bits
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("params.yaml: train.device: 'cuda': this machine has no CUDA device; use auto or cpu")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def precision(wanted: str, device: str) -> torch.dtype:
    """Return the type that networks compute in: torch.float32 or torch.bfloat16.

    ``auto`` is bfloat16 where the hardware multiplies it. Elsewhere it is emulated, a hundred times
    slower than float32; asked for there, it raises UserError.
    """
    able = torch.cuda.is_bf16_supported(including_emulation=False) if device == "cuda" else _cpu_has_bf16()
    if wanted == "bf16" and not able:
        raise UserError(
            "params.yaml: train.precision: 'bf16': this machine has no bfloat16 units; use auto or fp32"
        )
    return torch.bfloat16 if able and wanted != "fp32" else torch.float32


def _cpu_has_bf16() -> bool:
    """Say whether an x86 processor multiplies bfloat16; elsewhere it is not known to pay."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
