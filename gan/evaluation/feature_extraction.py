"""From images to features: running the extractor, or another network with its interface."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gan.extractor.classifier import Extractor
from gan.networks import model_file

BATCH = 500


@dataclass(frozen=True)
class Features:
    """Of N images, on the CPU, float32: semantic (N, d), texture (N, e) and class logits (N, K).

    The project's own extractor has d = 128 and e = 72. What a network does not have is None.
    """

    semantic: torch.Tensor
    texture: torch.Tensor | None
    logits: torch.Tensor | None

    def __getitem__(self, rows: torch.Tensor | slice) -> "Features":
        """Return the features of some rows."""
        texture, logits = (None if tensor is None else tensor[rows] for tensor in (self.texture, self.logits))
        return Features(self.semantic[rows], texture, logits)

    def __len__(self) -> int:
        """Return N."""
        return len(self.semantic)

    def joined(self) -> torch.Tensor:
        """Return semantic and texture features side by side, float32 (N, d + e)."""
        return self.semantic if self.texture is None else torch.cat([self.semantic, self.texture], 1)

    @property
    def predicted(self) -> torch.Tensor:
        """The likeliest class (N,) int64."""
        if self.logits is None:
            raise ValueError("a network without classes predicts none")
        return self.logits.argmax(1)


def load_extractor(path: Path, device: str) -> tuple[Extractor, tuple[str, ...] | None]:
    """Return the extractor and its class names, None if it was trained without labels."""
    tensors, config = model_file.load(path)
    model = Extractor(config["channels"], len(config["classes"]), 0.0, 1.0)
    model.load_state_dict(tensors)
    classes = tuple(config["classes"]) if config["task"] == "labels" else None
    return model.to(device).eval(), classes


@torch.no_grad()
def extract(
    model: nn.Module, images: torch.Tensor, device: str, rows: torch.Tensor | None = None
) -> Features:
    """Return the features of uint8 ``images`` (N, C, H, W), or of ``rows`` (R,) of them, in batches.

    ``model`` maps uint8 images to (logits or None, semantic, texture or None), like Extractor.
    """
    rows = torch.arange(len(images)) if rows is None else rows
    outputs = [model(images[some].to(device)) for some in rows.split(BATCH)]
    logits, semantic, texture = zip(*outputs, strict=True)
    return Features(_joined(semantic), _optional(texture), _optional(logits))


def _joined(batches: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.cat([batch.cpu() for batch in batches])


def _optional(batches: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    return None if batches[0] is None else _joined(batches)  # type: ignore[arg-type]


def pick(total: int, count: int, rng: torch.Generator) -> torch.Tensor:
    """Return ``count`` random row numbers of ``total``, each once; sets are often ordered by class."""
    return torch.randperm(total, generator=rng)[:count]
