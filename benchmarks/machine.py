"""What the machine is and can do at best: matrix products and copies."""

import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

SIZES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192)}  # of square matrices
RUNS = {"cpu": 1, "cuda": 10}  # back to back; a GPU's are too short to be timed one by one
TRIES = 3
COPIED = {"cpu": 2**28, "cuda": 2**30}  # bytes; more than any cache holds


def describe(device: str) -> str:
    """Return the name of the GPU, or of the processor."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def synchronise(device: str) -> None:
    """Wait until the device has done what it was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Return FLOP/s of the fastest square matrix product, a multiply-add being two.

    On CUDA float32 uses TF32 where convolutions may, as they do by default: it would otherwise be
    no bound for them.
    """
    before = torch.get_float32_matmul_precision()
    if device == "cuda" and torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")
    rates = []
    for size in SIZES[device]:
        a, b, out = (torch.randn(size, size, device=device).to(dtype) for _ in range(3))
        rates.append(2 * size**3 / _seconds(partial(torch.mm, a, b, out=out), device))
    torch.set_float32_matmul_precision(before)
    return max(rates)


def copy_rate(device: str) -> float:
    """Return bytes/s of a large copy, those read and those written."""
    source = torch.ones(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / _seconds(lambda: target.copy_(source), device)


def _seconds(work: Callable[[], object], device: str) -> float:
    """Return the least seconds of one ``work`` among a few tries."""
    durations = []
    work()
    for _ in range(TRIES):
        synchronise(device)
        started = time.perf_counter()
        for _ in range(RUNS[device]):
            work()
        synchronise(device)
        durations.append((time.perf_counter() - started) / RUNS[device])
    return min(durations)
