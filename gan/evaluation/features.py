"""From images to features, through the project's own extractor."""

from dataclasses import dataclass
from pathlib import Path

import torch

from gan.networks import files
from gan.networks.extractor import Extractor

BATCH = 500


@dataclass(frozen=True)
class Features:
    """Of N images, on the CPU: semantic (N, 128) and texture (N, 72) float32, predicted class (N,)."""

    semantic: torch.Tensor
    texture: torch.Tensor
    predicted: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> "Features":
        """Return the features of some rows."""
        return Features(self.semantic[rows], self.texture[rows], self.predicted[rows])


def load_extractor(path: Path, device: str) -> tuple[Extractor, tuple[str, ...] | None]:
    """Read the extractor; return it with its class names, None where it was trained without labels."""
    tensors, config = files.load(path)
    model = Extractor(config["channels"], len(config["classes"]), 0.0, 1.0)
    model.load_state_dict(tensors)
    classes = tuple(config["classes"]) if config["task"] == "labels" else None
    return model.to(device).eval(), classes


@torch.no_grad()
def extract(model: Extractor, images: torch.Tensor, device: str) -> Features:
    """Return the features of uint8 ``images`` (N, C, H, W), in memory bounded by the batch."""
    semantic, texture, predicted = [], [], []
    for batch in images.split(BATCH):
        logits, deep, early = model(batch.to(device))
        semantic.append(deep.cpu())
        texture.append(early.cpu())
        predicted.append(logits.argmax(1).cpu())
    return Features(torch.cat(semantic), torch.cat(texture), torch.cat(predicted))


def pick(total: int, count: int, rng: torch.Generator) -> torch.Tensor:
    """Return ``count`` of ``total`` row numbers, drawn without replacement (sets come ordered by class)."""
    return torch.randperm(total, generator=rng)[:count]
