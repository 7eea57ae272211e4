"""Training of the feature extractor: SGD with Nesterov momentum on a one-cycle schedule."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from gan import params, seeds
from gan.extractor.classifier import Extractor
from gan.networks.build import initialise

ROTATIONS = ("0", "90", "180", "270")  # degrees, the classes of a set without labels


def train_extractor(
    images: torch.Tensor,
    labels: torch.Tensor | None,
    classes: int,
    extractor: params.Extractor,
    device: str,
    progress: Callable[[int, str], None],
) -> Extractor:
    """Train on uint8 ``images`` (N, C, H, W) and int64 ``labels`` (N,), or on rotations without them."""
    mean, std = _pixel_statistics(images)
    model = Extractor(images.shape[1], classes, mean, std)
    _initialise(model, extractor.seed)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(
        model.parameters(), extractor.learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, extractor.learning_rate, total_steps=extractor.steps + 1, pct_start=0.25
    )
    size, order = min(extractor.batch_size, len(images)), torch.empty(0)
    per_epoch = len(images) // size
    for step in range(extractor.steps):
        epoch, within = divmod(step, per_epoch)
        if within == 0:
            order = torch.randperm(len(images), generator=seeds.generator(extractor.seed, "order", epoch))
        chosen = order[within * size : (within + 1) * size]
        batch = images[chosen]
        rng = seeds.generator(extractor.seed, "augment", step)
        batch, target = (batch, labels[chosen]) if labels is not None else _rotated(batch, rng)
        batch = _augmented(batch, extractor, rng)
        loss = F.cross_entropy(model(batch.to(device))[0], target.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        told = (step + 1) % 50 == 0 or step + 1 == extractor.steps  # the device is waited for
        progress(step + 1, f"loss {loss.item():.3f}" if told else "")
    return model.eval()


@torch.no_grad()
def accuracy(model: Extractor, images: torch.Tensor, labels: torch.Tensor | None, device: str) -> float:
    """Return the share of ``images`` classified correctly, or of their rotations if there are no labels."""
    right = total = 0
    for start in range(0, len(images), 500):
        batch = images[start : start + 500]
        if labels is None:
            batch, target = _rotated(batch, seeds.generator(0, "accuracy", start))
        else:
            target = labels[start : start + 500]
        right += int((model(batch.to(device))[0].argmax(1).cpu() == target).sum())
        total += len(batch)
    return right / total


def _pixel_statistics(images: torch.Tensor) -> tuple[float, float]:
    """Return mean and standard deviation of all pixel values, from exact integer counts."""
    counts = np.zeros(256, np.int64)
    for chunk in images.split(4096):
        counts += np.bincount(chunk.numpy().ravel(), minlength=256)
    values = np.arange(256)
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
    return mean, max(variance, 1.0) ** 0.5


def _initialise(model: Extractor, seed: int) -> None:
    """He initialisation (2015, equation 10): a classifier this deep does not start from 0.02."""
    initialise(model, seed, "extractor")
    rng = seeds.generator(seed, "he")
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
        elif isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(layer.weight)


def _rotated(images: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn each image by a random multiple of 90 degrees; return images and turns (N,)."""
    turns = torch.randint(0, 4, (len(images),), generator=rng)
    turned = [torch.rot90(image, int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)]
    return torch.stack(turned), turns


def _augmented(images: torch.Tensor, extractor: params.Extractor, rng: torch.Generator) -> torch.Tensor:
    """Mirror each image by chance, and shift the whole batch by up to ``shift`` pixels."""
    if extractor.flip:
        mirrored = torch.rand(len(images), generator=rng) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if extractor.shift:
        pad, size = extractor.shift, images.shape[2]
        padded = F.pad(images.float(), (pad,) * 4, mode="replicate")
        down, right = torch.randint(0, 2 * pad + 1, (2,), generator=rng).tolist()
        images = padded[:, :, down : down + size, right : right + size]
    return images
