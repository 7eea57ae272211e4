"""The resumable state: complete or absent, checked by hash, the last two kept.

It lives in `.runs/train-FINGERPRINT/`, outside DVC's outs, since DVC empties those before a run.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from gan.files import write_bytes
from gan.training.initial_weights import PARTS
from gan.training.step import Trainer

KEPT = 2


def save_state(
    folder: Path, step: int, tensors: Mapping[str, torch.Tensor], kind: str = "state", attempt: int = 0
) -> None:
    """Write the state after ``step`` steps; its hash is part of its name, so one rename ends it.

    ``attempt`` counts rollbacks: what comes after one is newer, though its step may be less.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(plain)
    digest = hashlib.sha256(content).hexdigest()
    write_bytes(folder / f"{kind}-{attempt:03d}-{step:09d}-{digest}.safetensors", content)
    for old in _states(folder, kind)[KEPT:]:
        old.unlink()


def read_state(folder: Path, kind: str = "state") -> bytes | None:
    """Return the newest sound state's bytes, or None where there is none.

    A file whose bytes do not match its name is named on stderr, removed, and the one before used.
    """
    for path in _states(folder, kind):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == path.stem.split("-")[-1]:
            return content
        print(f"train     {path}: damaged (its hash differs); the state before it is used", file=sys.stderr)
        path.unlink()
    return None


def _states(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"{kind}-*.safetensors"), reverse=True)


def components(trainer: Trainer) -> list[tuple[str, nn.Module]]:
    """Return the networks by their names in a state and in models/final.safetensors."""
    models = trainer.generator, trainer.discriminator, trainer.average
    return list(zip(PARTS, models, strict=True))


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return all weights, named ``generator.…``, ``generator_ema.…``, ``discriminator.…``."""
    networks = components(trainer)
    return {f"{kind}.{name}": t for kind, network in networks for name, t in network.state_dict().items()}


def trainer_tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return all of a trainer that a step changes."""
    return {
        **weights(trainer),
        **optimiser_tensors(trainer.optimiser_g, "optimiser_g"),
        **optimiser_tensors(trainer.optimiser_d, "optimiser_d"),
        "loop.probability": trainer.probability,
    }


def load_trainer(trainer: Trainer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Restore what ``trainer_tensors`` returned."""
    for component, model in components(trainer):
        prefix = f"{component}."
        model.load_state_dict({k[len(prefix) :]: t for k, t in tensors.items() if k.startswith(prefix)})
    load_optimiser(trainer.optimiser_g, "optimiser_g", tensors)
    load_optimiser(trainer.optimiser_d, "optimiser_d", tensors)
    trainer.probability.copy_(tensors["loop.probability"])


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, torch.Tensor]:
    """Flatten an optimiser's state to tensors named ``PREFIX.PARAMETER.KEY``."""
    states = optimiser.state_dict()["state"]
    return {f"{prefix}.{i}.{key}": value for i, state in states.items() for key, value in state.items()}


def load_optimiser(
    optimiser: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Restore an optimiser from the tensors of ``optimiser_tensors``.

    Each moment takes its parameter's memory layout: the fused Adam on the CPU walks both in memory
    order, so a channels-last weight beside a moment stored plain would be updated wrongly.
    """
    optimiser.state.clear()
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
