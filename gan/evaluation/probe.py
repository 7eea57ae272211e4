"""What a discriminator has learnt without being told: a linear classifier on its features.

Radford 2015 (arXiv:1511.06434), section 5.1: the activations of all its convolutions, max-pooled to a
4×4 grid, one vector an image. There a linear support vector machine follows, here least squares.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from gan import images as pixels
from gan.networks import mlp, resnet
from gan.networks.build import build_discriminator
from gan.networks.head import Head
from gan.params import Network

MOST_TRAINING = 5000  # images that the classifier learns from
MOST_FEATURES = 4096  # a coarser grid where there are more
BATCH = 250
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # times the number of images, on standardised features
PREFIX = "discriminator."


def load_discriminator(tensors: dict[str, torch.Tensor], config: Mapping[str, Any]) -> nn.Module:
    """Build the discriminator of a models/final.safetensors as ``gan.networks.files.load`` reads it."""
    network = Network.model_validate(config["network"])
    counts = config["class_counts"] or ()
    model = build_discriminator(network, config["image_size"], config["channels"], len(counts))
    own = {name.removeprefix(PREFIX): t for name, t in tensors.items() if name.startswith(PREFIX)}
    if network.spectral_norm:
        for layer in list(model.modules()):
            if isinstance(layer, nn.Linear | nn.Conv2d):
                parametrizations.spectral_norm(layer)
    model.load_state_dict(own)
    return model.eval()


@torch.no_grad()
def activations(model: nn.Module, images: torch.Tensor, device: str, rows: torch.Tensor) -> torch.Tensor:
    """Return features (rows, d) float32 of ``rows`` of uint8 images (N, C, H, W), of any discriminator.

    dcgan, mlp: after each activation function, the head's left out; resnet: after each block.
    """
    seen: list[torch.Tensor] = []
    kinds = (nn.LeakyReLU, mlp.Maxout, resnet.Down)
    layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(lambda *call: seen.append(call[2])) for layer in layers]
    embed = next((m.embed for m in model.modules() if isinstance(m, Head)), None)
    classes = 0 if embed is None else embed.in_features
    model.to(device)
    found = []
    for some in rows.split(BATCH):
        seen.clear()
        labels = torch.zeros(len(some), classes, device=device) if classes else None
        model(pixels.to_float(images[some].to(device)), labels)
        found.append(_pooled(seen).cpu())
    for hook in hooks:
        hook.remove()
    return torch.cat(found)


def _pooled(seen: list[torch.Tensor]) -> torch.Tensor:
    """Return (N, d) float32: maps (N, C, H, W) max-pooled to one grid, vectors (N, units) as they are."""
    channels = sum(found.shape[1] for found in seen if found.ndim == 4)
    grid = next((side for side in (4, 2) if channels * side**2 <= MOST_FEATURES), 1)
    flat = [F.adaptive_max_pool2d(found, grid).flatten(1) if found.ndim == 4 else found for found in seen]
    return torch.cat(flat, 1).float()


def classify(
    train: torch.Tensor, labels: torch.Tensor, other: torch.Tensor, classes: int, rng: torch.Generator
) -> torch.Tensor:
    """Return classes (M,) int64 of features ``other`` (M, d), learnt from ``train`` (N, d), ``labels`` (N,).

    Ridge regression on ±1 targets in closed form; its penalty is the one that does best on a fifth of
    the training rows after learning from the rest.
    """
    mean, std = train.mean(0), train.std(0)
    train, other = ((part - mean) / torch.where(std < 1e-6, 1.0, std) for part in (train, other))
    targets = F.one_hot(labels, classes).double() * 2 - 1
    order = torch.randperm(len(train), generator=rng)
    kept, tried = order[len(order) // 5 :], order[: len(order) // 5]
    fit = _Ridge(train[kept], targets[kept])
    right = [(fit.scores(p, train[tried]).argmax(1) == labels[tried]).sum().item() for p in PENALTIES]
    best = PENALTIES[right.index(max(right))]
    return _Ridge(train, targets).scores(best, other).argmax(1)


class _Ridge:
    """Least squares with a penalty, in as many unknowns as there are features or rows, whichever is less."""

    def __init__(self, rows: torch.Tensor, targets: torch.Tensor) -> None:
        self.rows, self.mean = rows, targets.mean(0)
        self.targets = targets - self.mean
        self.wide = rows.shape[1] > len(rows)
        self.gram = (rows @ rows.T if self.wide else rows.T @ rows).double()

    def scores(self, penalty: float, other: torch.Tensor) -> torch.Tensor:
        """Return (M, classes) float64 for rows (M, d)."""
        size = len(self.gram)
        damped = self.gram + penalty * len(self.rows) * torch.eye(size, dtype=torch.float64)
        root = torch.linalg.cholesky(damped)
        if self.wide:
            weights = torch.cholesky_solve(self.targets, root).float()
            found = other @ self.rows.T @ weights
        else:
            weights = torch.cholesky_solve(self.rows.T.double() @ self.targets, root).float()
            found = other @ weights
        return found.double() + self.mean
