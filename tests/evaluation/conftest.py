"""Real images and an extractor that knows them: scikit-learn's digits, split in three."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gan import params
from gan.extractor.classifier import Extractor
from gan.extractor.classifier_training import train_extractor
from tests.conftest import DEFAULTS


@dataclass(frozen=True)
class Digits:
    """uint8 images (N, 1, 32, 32) and labels: to train on, held out, and as perfect samples."""

    train: torch.Tensor
    held_out: torch.Tensor
    fresh: torch.Tensor
    labels: dict[str, torch.Tensor]
    extractor: Extractor


@pytest.fixture(scope="session")
def digits() -> Digits:
    torch.set_num_threads(1)
    table = load_digits()
    order = np.random.default_rng(0).permutation(len(table.images))
    small = torch.from_numpy(table.images[order])[:, None].float() * (255 / 16)
    images = torch.nn.functional.interpolate(small, 32, mode="bicubic").clamp(0, 255).round().to(torch.uint8)
    labels = torch.from_numpy(table.target[order]).long()
    ranges = {"train": slice(0, 800), "held_out": slice(800, 1250), "fresh": slice(1250, 1700)}
    settings = params.load(DEFAULTS).extractor.model_copy(update={"steps": 80})
    train = ranges["train"]
    extractor = train_extractor(images[train], labels[train], 10, settings, "cpu", lambda *_: None)
    return Digits(
        **{name: images[rows] for name, rows in ranges.items()},
        labels={name: labels[rows] for name, rows in ranges.items()},
        extractor=extractor,
    )
