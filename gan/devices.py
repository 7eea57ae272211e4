"""Where tensors live, how many threads compute, and by which kernels: the same bits on any processor.

On x86-64 processors with AVX2 all libraries are held to one set of kernels, whatever the processor
has besides (docs/reproducing.md). Every process that computes calls ``prepare`` first.
"""

import os
import platform
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, local
from typing import Literal, TypeVar, cast

import torch
from torch.utils import deterministic

from gan.errors import UserError
from gan.runtime import memory

# MKL chooses code by processor, ATen and oneDNN by vector units, each when it first computes.
PORTABLE = {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
LANES = 4  # threads that kernels compute in, whatever the cores (docs/decisions.md has the figures)
# With fewer threads than they were given, kernels that wait for all of them wait for ever.
_WITHHOLDING = {
    "OMP_DYNAMIC": ("true", "1"),
    "OMP_MAX_ACTIVE_LEVELS": ("0",),
    "OMP_THREAD_LIMIT": tuple(map(str, range(1, LANES))),
}

T = TypeVar("T")
U = TypeVar("U")
_cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
_pool: ThreadPoolExecutor | None = None
_thread = local()  # alone: one of the pool's


def prepare(device: str, threads: int | Literal["auto"] = "auto", precision: str = "auto") -> str:
    """Set kernels, threads and determinism for this process; return the device, ``cpu`` or ``cuda``.

    ``precision`` is ``train.precision``: ``bf16`` on a processor takes the units that it has.
    Raises UserError for ``cuda`` on a machine that has none, where torch has already computed by
    other kernels, and where a variable would keep threads back.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("params.yaml: train.device: 'cuda': this machine has no CUDA device; use auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" or precision != "bf16":
        _hold_to_portable_kernels()
    # cuBLAS is deterministic only with a workspace of fixed size, read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Meant to show reads of memory nobody wrote; it writes every new tensor twice.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    set_threads(threads)
    return device


def accelerator(device: str) -> str | None:
    """Return the name of the GPU that computes; None for the processor alone."""
    return torch.cuda.get_device_name() if device == "cuda" else None


def free_bytes(device: str) -> int | None:
    """Return the memory that can still be taken on the device; None where the system does not tell."""
    return torch.cuda.mem_get_info()[0] if device == "cuda" else memory.available()


def meters(device: str) -> tuple[Callable[[], None], Callable[[], int]] | tuple[()]:
    """Return what waits for the GPU, and what tells the peak of its memory; nothing for the processor."""
    return (torch.cuda.synchronize, torch.cuda.max_memory_reserved) if device == "cuda" else ()


def _hold_to_portable_kernels() -> None:
    """Choose the kernels that all x86-64 processors with AVX2 have; elsewhere say that bits differ."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        _note(f"{platform.machine()}: results have the bits of this kind of processor")
        return
    os.environ.update(PORTABLE)
    capability = torch.backends.cpu.get_cpu_capability()
    if capability == "DEFAULT":
        _note("this processor has no AVX2: results have the bits of its kind")
    elif capability != "AVX2":
        raise UserError(
            f"torch has already computed in this process, with {capability}: its bits would be this "
            "processor's; call gan.devices.prepare before anything else"
        )


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr, flush=True)


def set_threads(wanted: int | Literal["auto"]) -> None:
    """Compute in `LANES` threads on so many cores; ``auto``: those there are.

    Kernels cut sums by the number of threads, so that number is the same everywhere and no bit depends
    on the cores. Raises UserError where a variable of the environment keeps threads back.
    """
    global _pool
    for name, refused in _WITHHOLDING.items():
        if os.environ.get(name, "").lower() in refused:
            raise UserError(
                f"{name}={os.environ[name]}: it withholds threads that kernels wait for; unset it"
            )
    count = _keep_to_cores(wanted)
    # Threads for whole operations, of one thread each: that of torch's setting which is each thread's own.
    started = Barrier(count + 1)

    def begin() -> None:
        _thread.alone = True
        torch.get_num_threads()  # a thread's first call takes over the process's number
        torch.set_num_threads(1)
        started.wait()

    if _pool is not None:
        _pool.shutdown()
    _pool = ThreadPoolExecutor(count, "operations", begin)
    for _ in range(count):
        _pool.submit(int)  # starts a thread, since none is idle before all have begun
    started.wait()
    torch.set_num_threads(LANES)


def _keep_to_cores(wanted: int | Literal["auto"]) -> int:
    """Return how many cores this process uses; keep it to as many where the system can.

    One of several processes gets its share of them, beside the others'.
    """
    share = max(len(_cores) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)
    count = min(share if wanted == "auto" else wanted, len(_cores))
    if hasattr(os, "sched_setaffinity"):
        first = int(os.environ["LOCAL_RANK"]) * count if "LOCAL_RANK" in os.environ else _current_core()
        os.sched_setaffinity(0, {_cores[(first + i) % len(_cores)] for i in range(count)})
    return count


def _current_core() -> int:
    """Return the index in ``_cores`` of the one that the system has put this process on.

    It puts the next training elsewhere, so both seldom keep to the same one.
    """
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    here = int(fields[36])
    return _cores.index(here) if here in _cores else 0


def _forget_threads() -> None:
    """A forked child has none of its parent's threads."""
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget_threads)


def side_by_side(work: Callable[[T], U], items: Sequence[T]) -> list[U]:
    """Return ``work`` of each item, in order, each computed in one thread; without gradients.

    What is computed does not depend on how many of them run at once, nor on ``set_threads``.
    """

    def alone(item: T) -> U:
        with torch.no_grad():
            return work(item)

    if getattr(_thread, "alone", False):
        return [alone(item) for item in items]
    if _pool is None:  # nobody has prepared: a test, a notebook, a forked child
        set_threads("auto")
    return list(cast(ThreadPoolExecutor, _pool).map(alone, items))


def precision(wanted: str, device: str) -> torch.dtype:
    """Return the type that networks compute in: torch.float32 or torch.bfloat16.

    ``auto`` is bfloat16 on CUDA where the hardware multiplies it, and float32 on processors, where
    bfloat16 has other bits on each kind and may be slower in spite of units for it. Asked for where there
    are none, it would be a hundred times slower, and raises UserError.
    """
    able = torch.cuda.is_bf16_supported(including_emulation=False) if device == "cuda" else _cpu_has_bf16()
    if wanted == "bf16" and not able:
        raise UserError(
            "params.yaml: train.precision: 'bf16': this machine has no bfloat16 units; use auto or fp32"
        )
    chosen = able and (device == "cuda" or wanted == "bf16") and wanted != "fp32"
    return torch.bfloat16 if chosen else torch.float32


def _cpu_has_bf16() -> bool:
    """Say whether an x86 processor multiplies bfloat16; elsewhere it is not known to pay."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
