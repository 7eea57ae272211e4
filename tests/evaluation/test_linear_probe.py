"""A linear classifier on a discriminator's features."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from gan import params
from gan.evaluation import linear_probe
from gan.networks import build
from tests.conftest import DEFAULTS
from tests.evaluation.conftest import Digits

NETWORK = params.load(DEFAULTS).network.model_copy(
    update={"base_channels": 8, "hidden_units": 32, "hidden_layers": 2}
)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("width", [20, 900])  # fewer unknowns by features, and by rows
def test_learns_what_is_linear_and_nothing_from_nothing(width: int) -> None:
    features = torch.randn(600, width, generator=rng()) * 3 + 5
    truth = (features - 5) @ torch.randn(width, 3, generator=torch.Generator().manual_seed(1))
    labels = truth.argmax(1)
    guessed = linear_probe.classify(features[:400], labels[:400], features[400:], 3, rng())
    right = (guessed == labels[400:]).double().mean()
    assert right > (0.85 if width == 20 else 0.5)
    noise = torch.randint(3, (600,), generator=rng())
    guessed = linear_probe.classify(features[:400], noise[:400], features[400:], 3, rng())
    assert (guessed == noise[400:]).double().mean() == pytest.approx(1 / 3, abs=0.12)


def test_both_ways_to_solve_it_agree() -> None:
    rows, other = torch.randn(50, 60, generator=rng()), torch.randn(9, 60)
    targets = torch.randn(50, 3, dtype=torch.float64)
    wide = linear_probe._Ridge(rows, targets)
    tall = linear_probe._Ridge(
        torch.cat([rows, torch.zeros(50, 60)]), torch.cat([targets, targets.mean(0).repeat(50, 1)])
    )
    assert wide.wide
    assert not tall.wide
    assert torch.allclose(wide.scores(0.2, other), tall.scores(0.1, other), atol=1e-5)


def test_features_are_all_layers_pooled_to_a_grid() -> None:
    images = torch.randint(0, 256, (7, 1, 32, 32), generator=rng(), dtype=torch.uint8)
    model = build.build_discriminator(NETWORK, 32, 1, 10).eval()
    features = linear_probe.activations(model, images, "cpu", torch.arange(7))
    assert features.shape == (7, (8 + 16 + 32) * 4 * 4)  # Radford 2015: 4×4 of every layer
    first = model.layers[1](model.layers[0](images.float() / 127.5 - 1))
    assert torch.allclose(features[:, : 8 * 16], nn.functional.max_pool2d(first, 4).flatten(1))
    some = linear_probe.activations(model, images, "cpu", torch.tensor([5, 2]))
    assert torch.allclose(some, features[[5, 2]], atol=1e-6)
    large = NETWORK.model_copy(update={"base_channels": 128})
    wide = linear_probe.activations(
        build.build_discriminator(large, 32, 1, 0).eval(), images, "cpu", torch.arange(2)
    )
    assert wide.shape == (2, (128 + 256 + 512) * 2 * 2)  # a coarser grid, within the limit
    flat = NETWORK.model_copy(update={"architecture": "mlp"})
    assert linear_probe.activations(
        build.build_discriminator(flat, 32, 1, 0).eval(), images, "cpu", torch.arange(7)
    ).shape == (7, 64)


@pytest.mark.parametrize(
    ("architecture", "spectral_norm"),
    [
        *itertools.product(["dcgan", "resnet", "mlp"], [False, True]),
        ("residual", False),
        pytest.param("projected", True, marks=pytest.mark.slow),
    ],
)
def test_tells_digits_apart_whatever_the_network(
    digits: Digits, architecture: str, spectral_norm: bool
) -> None:
    """Random features already do; what is loaded is what was saved, spectral normalisation and all."""
    network = NETWORK.model_copy(update={"architecture": architecture, "spectral_norm": spectral_norm})
    model = build.build_discriminator(network, 32, 1, 10)
    build.initialise(model, 0, "discriminator")
    if spectral_norm:
        build.normalise_spectrally(model, 0)
    tensors = {f"discriminator.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors["generator.weight"] = torch.zeros(1)
    config = {"network": network.model_dump(), "image_size": 32, "channels": 1, "class_counts": [80] * 10}
    loaded = linear_probe.load_discriminator(Path("final.safetensors"), tensors, config)
    known, asked = (
        linear_probe.activations(loaded, images, "cpu", torch.arange(len(images)))
        for images in (digits.train[:400], digits.held_out[:200])
    )
    features = linear_probe.activations(model.eval(), digits.held_out[:200], "cpu", torch.arange(200))
    assert torch.allclose(asked, features, rtol=1e-4, atol=1e-5)
    guessed = linear_probe.classify(known, digits.labels["train"][:400], asked, 10, rng())
    assert (guessed == digits.labels["held_out"][:200]).double().mean() > 0.8
