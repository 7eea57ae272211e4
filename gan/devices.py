"""Where tensors live and how many threads compute."""

import os

import torch

from gan.errors import UserError


def prepare(device: str, threads: int) -> str:
    """Set threads and determinism for this process; return the device, ``cpu`` or ``cuda``.

    Raises UserError for ``cuda`` on a machine that has none.
    """
    # cuBLAS is deterministic only with a workspace of fixed size, read when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(threads)  # another count sums in another order: other bits
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("params.yaml: train.device: 'cuda': this machine has no CUDA device; use auto or cpu")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
