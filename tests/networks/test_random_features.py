"""The cheap look at a snapshot: planted collapses are seen, real images are not taken for one."""

import pytest
import torch

from gan.networks.random_features import RandomFeatures, compare
from gan.training import faults


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """scikit-learn's digits at 32×32, in random order: uint8 (1797, 1, 32, 32), labels."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    order = torch.randperm(len(loaded.images), generator=torch.Generator().manual_seed(0))
    small = torch.from_numpy(loaded.images)[:, None] * 255 / 16
    images = torch.nn.functional.interpolate(small, 32, mode="bilinear").round().to(torch.uint8)
    return images[order], torch.from_numpy(loaded.target)[order]


def collapsed(figures: dict[str, float]) -> bool:
    return bool(faults.signs([figures[name] for name in faults.FIGURES]))


def test_real_images_are_alike_and_no_collapse(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, features = digits[0], RandomFeatures(1)
    figures = compare(features(images[:256]), features(images[256:512]))
    assert figures["distance"] < 0.2
    assert 0.9 < figures["diversity"] < 1.1 and 0.9 < figures["repetition"] < 1.1
    assert not collapsed(figures)


def test_planted_collapses(digits: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, labels = digits
    features = RandomFeatures(1)
    real = features(images[:256])
    first = torch.stack([(labels == label).nonzero()[0, 0] for label in range(10)])
    planted = {
        "one image": images[:1].expand(256, -1, -1, -1),
        "one image a class": images[first[labels[:256]]],  # the latents are ignored
        "few images": images[torch.arange(256) % 40],
        "grey": torch.full((256, 1, 32, 32), 128, dtype=torch.uint8),
    }
    for name, generated in planted.items():
        assert collapsed(compare(real, features(generated.contiguous()))), name
    one_class = images[labels == 0][:128].repeat(2, 1, 1, 1)
    assert collapsed(compare(real, features(one_class)))
    noise = compare(real, features(torch.randint(0, 256, (256, 1, 32, 32), dtype=torch.uint8)))
    assert noise["distance"] > 5
