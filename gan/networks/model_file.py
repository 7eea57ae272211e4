"""Model files: safetensors that explain themselves, never pickles.

The metadata has one key, `config`, holding JSON: safetensors writes several keys in an order that
differs from run to run, which would give equal models different hashes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from gan.errors import UserError
from gan.files import write_bytes
from gan.networks.build import build_generator
from gan.params import Network


def save(path: Path, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> None:
    """Write tensors and their configuration to ``path``, atomically; equal content, equal bytes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"config": json.dumps(config, sort_keys=True)}
    write_bytes(path, safetensors.torch.save(plain, metadata))


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read tensors (on the CPU) and configuration. Raises UserError if the file is missing or not ours."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(metadata["config"])
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage that writes it, `dvc repro`") from None
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a model file of this project ({error})") from None


@dataclass(frozen=True)
class Published:
    """A generator in evaluation mode, the params of its network, and what its inputs need.

    ``class_counts``: training images of each class, or None for a generator without classes. ``config``:
    the whole configuration in its file.
    """

    model: nn.Module
    network: Network
    class_counts: tuple[int, ...] | None
    images_seen: int
    config: Mapping[str, Any] = field(default_factory=dict)

    def classes(self) -> tuple[str, ...]:
        """Return the names of its classes; numbers if the file has no names, empty without classes."""
        names = self.config.get("classes") or range(len(self.class_counts or ()))
        return tuple(map(str, names))

    def class_number(self, label: str | int | None, given: str) -> int:
        """Find a class by its name or, where none is called so, its number.

        Raises UserError, beginning with ``given``, for a class that is not there.
        """
        names = self.classes()
        if not names:
            raise UserError(f"{given}: this model has no classes; leave it out")
        if label in names:
            return names.index(str(label))
        if str(label).isdecimal() and int(str(label)) < len(names):
            return int(str(label))
        listed = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
        raise UserError(f"{given}: no class of this model; it has {listed}, or their numbers from 0")


def load_generator(path: Path) -> Published:
    """Read a generator. Raises UserError if the file is not a generator of this project."""
    return published(path, *load(path))


def published(path: Path, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Published:
    """Build a generator of weights read from ``path``. Raises UserError where they are something else."""
    try:
        network = Network.model_validate(config["network"])
        counts = tuple(config["class_counts"] or ())
        model = build_generator(network, config["image_size"], config["channels"], len(counts))
        model.load_state_dict(tensors)
        return Published(model.eval(), network, counts or None, config["images_seen"], config)
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a generator of this version ({reason})") from None
