"""From images to features, through the project's own extractor."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gan.networks import files
from gan.networks.extractor import Extractor

BATCH = 500


@dataclass(frozen=True)
class Features:
    """Of N images, on the CPU, float32: semantic (N, d), texture (N, e) and class logits (N, K).

    The project's own extractor has d = 128 and e = 72. A network that lacks one has None in its place.
    """

    semantic: torch.Tensor
    texture: torch.Tensor | None
    logits: torch.Tensor | None

    def __getitem__(self, rows: torch.Tensor | slice) -> "Features":
        """Return the features of some rows."""
        texture, logits = (None if part is None else part[rows] for part in (self.texture, self.logits))
        return Features(self.semantic[rows], texture, logits)

    def __len__(self) -> int:
        """Return N."""
        return len(self.semantic)

    @property
    def predicted(self) -> torch.Tensor:
        """The likeliest class (N,) int64."""
        if self.logits is None:
            raise ValueError("a network without classes predicts none")
        return self.logits.argmax(1)


def load_extractor(path: Path, device: str) -> tuple[Extractor, tuple[str, ...] | None]:
    """Read the extractor; return it with its class names, None where it was trained without labels."""
    tensors, config = files.load(path)
    model = Extractor(config["channels"], len(config["classes"]), 0.0, 1.0)
    model.load_state_dict(tensors)
    classes = tuple(config["classes"]) if config["task"] == "labels" else None
    return model.to(device).eval(), classes


@torch.no_grad()
def extract(
    model: nn.Module, images: torch.Tensor, device: str, rows: torch.Tensor | None = None
) -> Features:
    """Return the features of uint8 ``images`` (N, C, H, W), or of some ``rows`` of them, a batch at a time.

    ``model``: uint8 images → logits or None, semantic, texture features or None, such as an Extractor.
    """
    rows = torch.arange(len(images)) if rows is None else rows
    parts = [model(images[some].to(device)) for some in rows.split(BATCH)]
    logits, semantic, texture = zip(*parts, strict=True)
    return Features(_joined(semantic), _optional(texture), _optional(logits))


def _joined(parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.cat([part.cpu() for part in parts])


def _optional(parts: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    return None if parts[0] is None else _joined(parts)  # type: ignore[arg-type]


def pick(total: int, count: int, rng: torch.Generator) -> torch.Tensor:
    """Return ``count`` of ``total`` row numbers, drawn without replacement (sets come ordered by class)."""
    return torch.randperm(total, generator=rng)[:count]
