"""A linear classifier on features: what a discriminator learned, and whether samples can be told apart.

The features of a discriminator are those of Radford 2015 (arXiv:1511.06434), section 5.1: the activations
of all its convolutions, max-pooled to a 4×4 grid, one vector per image. The paper fits a linear support
vector machine; this fits ridge regression.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from gan.data import images as pixels
from gan.devices import side_by_side
from gan.errors import UserError
from gan.networks import mlp, residual, resnet
from gan.networks.build import build_discriminator
from gan.networks.discriminator_head import Head
from gan.params import Network

MOST_TRAINING = 5000  # images to fit the classifier on
MOST_FEATURES = 4096  # with more, the grid is coarser
BATCH = 250
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # times the number of images, on standardised features
PREFIX = "discriminator."


def load_discriminator(path: Path, tensors: dict[str, torch.Tensor], config: Mapping[str, Any]) -> nn.Module:
    """Build the discriminator of a models/final.safetensors: of what was read from ``path``.

    Raises UserError where another version of this project made it.
    """
    network = Network.model_validate(config["network"])
    counts = config["class_counts"] or ()
    model = build_discriminator(network, config["image_size"], config["channels"], len(counts))
    weights = {name.removeprefix(PREFIX): t for name, t in tensors.items() if name.startswith(PREFIX)}
    if network.spectral_norm:
        for layer in list(model.modules()):
            if isinstance(layer, nn.Linear | nn.Conv2d):
                parametrizations.spectral_norm(layer)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise UserError(
            f"{path}: its discriminator is none of this version ({reason}); use the version that trained it, "
            "or the published generator, which has no discriminator"
        ) from None
    return model.eval()


@torch.no_grad()
def activations(model: nn.Module, images: torch.Tensor, device: str, rows: torch.Tensor) -> torch.Tensor:
    """Return features (rows, d) float32 of ``rows`` of uint8 images (N, C, H, W), of any discriminator.

    For dcgan and mlp after each activation function, for residual networks after each block; not in the head.
    """
    outputs: list[torch.Tensor] = []
    kinds = (nn.LeakyReLU, mlp.Maxout, resnet.Down, residual.Block)
    layers = [layer for layer in model.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_hook(lambda *call: outputs.append(call[2])) for layer in layers]
    embed = next((m.embed for m in model.modules() if isinstance(m, Head)), None)
    classes = 0 if embed is None else embed.in_features
    model.to(device)
    features = []
    for batch in rows.split(BATCH):
        outputs.clear()
        labels = torch.zeros(len(batch), classes, device=device) if classes else None
        model(pixels.to_float(images[batch].to(device)), labels)
        features.append(_pooled(outputs).cpu())
    for hook in hooks:
        hook.remove()
    return torch.cat(features)


def _pooled(outputs: list[torch.Tensor]) -> torch.Tensor:
    """Return (N, d) float32: maps (N, C, H, W) max-pooled to one grid, vectors (N, units) unchanged."""
    channels = sum(output.shape[1] for output in outputs if output.ndim == 4)
    grid = next((side for side in (4, 2) if channels * side**2 <= MOST_FEATURES), 1)
    flat = [
        F.adaptive_max_pool2d(output, grid).flatten(1) if output.ndim == 4 else output for output in outputs
    ]
    return torch.cat(flat, 1).float()


def classify(
    train: torch.Tensor, labels: torch.Tensor, other: torch.Tensor, classes: int, rng: torch.Generator
) -> torch.Tensor:
    """Return predicted classes (M,) int64 for ``other`` (M, d), fitted on ``train`` (N, d), ``labels`` (N,).

    Ridge regression on ±1 targets in closed form. Its penalty is the one that is best on a fifth of the
    training rows when fitted on the rest.
    """
    mean, std = train.mean(0), train.std(0)
    train, other = ((features - mean) / torch.where(std < 1e-6, 1.0, std) for features in (train, other))
    targets = F.one_hot(labels, classes).double() * 2 - 1
    order = torch.randperm(len(train), generator=rng)
    fitting, tried = order[len(order) // 5 :], order[: len(order) // 5]
    fit = _Ridge(train[fitting], targets[fitting])
    right = [(fit.scores(p, train[tried]).argmax(1) == labels[tried]).sum().item() for p in PENALTIES]
    best = PENALTIES[right.index(max(right))]
    return _Ridge(train, targets).scores(best, other).argmax(1)


def told_apart(real: torch.Tensor, fake: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Return for each row of ``real`` (N, d), then ``fake`` (N, d), whether a classifier knows which it is.

    The classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545): the mean is 0.5 where both
    have the same distribution, and 1 where every sample gives itself away. A linear classifier, fitted on a
    random half of both, is asked about the other half, and the reverse. Returns bool (2 N,).
    """
    rows, labels = torch.cat([real, fake]).float(), torch.arange(2).repeat_interleave(len(real))
    order = torch.randperm(len(real), generator=rng)
    first = torch.zeros(2, len(real), dtype=torch.bool)
    first[:, order[: len(real) // 2]] = True
    first = first.flatten()
    right = torch.empty(len(rows), dtype=torch.bool)
    for asked in (first, ~first):
        guessed = classify(rows[~asked], labels[~asked], rows[asked], 2, rng)
        right[asked] = guessed == labels[asked]
    return right


class _Ridge:
    """Ridge regression, solved for the features or for the rows, whichever are fewer."""

    def __init__(self, rows: torch.Tensor, targets: torch.Tensor) -> None:
        self.rows, self.mean = rows, targets.mean(0)
        self.targets = targets - self.mean
        self.wide = rows.shape[1] > len(rows)
        side = rows if self.wide else rows.T
        self.gram = torch.cat(side_by_side(lambda chunk: chunk @ side.T, side.split(BATCH))).double()

    def scores(self, penalty: float, other: torch.Tensor) -> torch.Tensor:
        """Return (M, classes) float64 for rows (M, d)."""
        size = len(self.gram)
        damped = self.gram + penalty * len(self.rows) * torch.eye(size, dtype=torch.float64)
        root = torch.linalg.cholesky(damped)
        if self.wide:
            weights = torch.cholesky_solve(self.targets, root).float()
            predicted = other @ self.rows.T @ weights
        else:
            weights = torch.cholesky_solve(self.rows.T.double() @ self.targets, root).float()
            predicted = other @ weights
        return predicted.double() + self.mean
