"""The resumable state: whole or absent, checked by hash, the last two kept.

It lives in `.runs/train-FINGERPRINT/`, outside DVC's outs, since DVC empties those before a run.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch

from gan.files import write_bytes

KEPT = 2


def save_state(folder: Path, step: int, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the state after ``step`` steps; its hash is part of its name, so one rename ends it."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(plain)
    digest = hashlib.sha256(content).hexdigest()
    write_bytes(folder / f"state-{step:09d}-{digest}.safetensors", content)
    for old in _states(folder)[KEPT:]:
        old.unlink()


def load_state(folder: Path) -> tuple[int, dict[str, torch.Tensor]] | None:
    """Return (step, tensors) of the newest sound state, or None where there is none.

    A file whose bytes do not match its name is named on stderr, removed, and the one before used.
    """
    for path in _states(folder):
        content = path.read_bytes()
        _, step, digest = path.stem.split("-")
        if hashlib.sha256(content).hexdigest() == digest:
            return int(step), safetensors.torch.load(content)
        print(f"train     {path}: damaged (its hash differs); the state before it is used", file=sys.stderr)
        path.unlink()
    return None


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("state-*.safetensors"), reverse=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, torch.Tensor]:
    """Flatten an optimiser's state to tensors named ``PREFIX.PARAMETER.KEY``."""
    states = optimiser.state_dict()["state"]
    return {f"{prefix}.{i}.{key}": value for i, state in states.items() for key, value in state.items()}


def load_optimiser(
    optimiser: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put back what ``optimiser_tensors`` gave.

    Each moment takes its parameter's memory layout: the fused Adam on the CPU walks both in memory
    order, so a channels-last weight beside a moment stored plain would be updated wrongly.
    """
    content = optimiser.state_dict()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for name, tensor in tensors.items():
        head, _, rest = name.partition(".")
        if head == prefix:
            index, _, key = rest.partition(".")
            like = parameters[int(index)]
            value = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor
            content["state"].setdefault(int(index), {})[key] = value
    optimiser.load_state_dict(content)
