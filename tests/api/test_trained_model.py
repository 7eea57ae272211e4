"""`gan.load`: the images of `ganflow sample`, latents of images, features; what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan
from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.evaluation import linear_probe
from gan.networks import build, model_file
from gan.params import Network
from tests.conftest import ROOT
from tests.forked_commands import Forked
from tests.provenance.conftest import MakeModel, make_model

__all__ = ["make_model"]  # a fixture


@pytest.fixture
def model(make_model: MakeModel) -> gan.TrainedModel:
    return gan.load(make_model(), device="cpu")


def final(make_model: MakeModel, tmp_path: Path, **settings: object) -> Path:
    """Write a file of both networks, as training does, for the generator of ``make_model``."""
    tensors, config = model_file.load(make_model(**settings))
    network = Network.model_validate(config["network"])
    discriminator = build.build_discriminator(network, 32, 3, 3)
    build.initialise(discriminator, 1, "discriminator")
    if network.spectral_norm:
        build.normalise_spectrally(discriminator, 1)
    both = {"discriminator": discriminator.state_dict(), "generator_ema": tensors}
    named = {f"{part}.{name}": t for part, weights in both.items() for name, t in weights.items()}
    model_file.save(tmp_path / "final.safetensors", named, config)
    return tmp_path / "final.safetensors"


def test_the_images_are_those_of_the_command(make_model: MakeModel, tmp_path: Path) -> None:
    file = make_model()
    asked = ["--count", "70", "--seed", "3", "--class", "bee", "--unsigned", "--no-mark", "--frames", "0"]
    files = ["--model", str(file), "--out", str(tmp_path / "out")]
    process = Forked("gan.sample", [*files, *asked], ROOT, os.environ)
    output, _ = process.communicate(120)
    assert process.returncode == 0, output
    written = read_arrays(tmp_path / "out" / "images.safetensors").images
    loaded = gan.load(file)
    images = loaded.sample(70, label="bee", seed=3)
    assert (images.shape, images.dtype) == ((70, 32, 32, 3), np.uint8)
    assert np.array_equal(images.transpose(0, 3, 1, 2), written)
    assert np.array_equal(loaded.sample(5, label=1, seed=3), images[:5])  # by number; fewer of the same


def test_latents_are_those_of_sample(model: gan.TrainedModel) -> None:
    latents = model.latents(6, seed=4)
    assert (latents.shape, latents.dtype) == ((6, 8), np.float32)
    assert np.array_equal(model.images(latents, label="cat"), model.sample(6, label="cat", seed=4))
    assert abs(model.latents(200, truncation=0.5)).max() <= 0.5
    each = model.images(latents, label=["ant", "bee", 2, "ant", "bee", 2])
    assert np.array_equal(each[2], model.sample(6, label="cat", seed=4)[2])
    assert not np.array_equal(each[0], model.sample(6, label="cat", seed=4)[0])


def test_interpolation_goes_from_one_to_the_other(model: gan.TrainedModel) -> None:
    start, end = model.latents(2, seed=9)
    path = model.interpolate(7, start=start, end=end, label="bee")
    assert path.shape == (7, 32, 32, 3)
    ends = model.images(np.stack([start, end]), label="bee")
    assert abs(path[[0, -1]].astype(int) - ends).max() <= 1  # the angle's sine rounds
    assert np.array_equal(model.interpolate(7, seed=9, label="bee"), path)
    assert not np.array_equal(path[3], path[0])


@pytest.mark.slow
def test_projection_comes_near(model: gan.TrainedModel) -> None:
    target = model.sample(3, label="bee", seed=5)[2]
    near = model.project(target, label="bee", steps=150)
    start = model.project(target, label="bee", steps=1)
    assert near.label == "bee" and near.latents.shape == (8,)
    assert near.rmse < start.rmse / 2
    again = model.images(near.latents, label=near.label)[0]
    assert np.array_equal(again, near.image)
    assert near.rmse == pytest.approx(np.sqrt(np.square(again.astype(float) - target).mean()))
    assert model.project(target, steps=150).label == "bee"  # of all classes, the one it is


@pytest.mark.parametrize(
    "settings",
    [
        {"network_architecture": "dcgan"},
        {"network_architecture": "dcgan", "network_spectral_norm": True},
        {"network_architecture": "resnet"},
        {"network_architecture": "mlp"},
    ],
    ids=str,
)
def test_features_tell_images_apart(
    make_model: MakeModel, tmp_path: Path, settings: dict[str, object]
) -> None:
    model = gan.load(final(make_model, tmp_path, **settings), device="cpu")
    images = model.sample(70, seed=1)
    features = model.embed(images)
    assert features.dtype == np.float32 and len(features) == 70
    assert np.array_equal(model.embed(gan.to_pil(images[:3])), features[:3])  # Pillow's; fewer of the same
    assert len(np.unique(features.round(4), axis=0)) == 70
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    probed = linear_probe.activations(model.discriminator, pixels, "cpu", torch.arange(64))
    assert np.array_equal(probed.numpy(), features[:64])  # those of the metric


def test_another_size_is_cropped_and_scaled(model: gan.TrainedModel) -> None:
    photo = Image.new("RGB", (64, 48), (10, 200, 90))
    assert model.project(photo, steps=1).image.shape == (32, 32, 3)


def test_the_grid_is_a_picture(model: gan.TrainedModel) -> None:
    assert gan.grid(model.sample(9)).size == (3 * 34 - 2, 3 * 34 - 2)
    assert gan.grid(model.sample(9), columns=9).size == (9 * 34 - 2, 32)


def test_grey_images_without_classes(make_model: MakeModel) -> None:
    model = gan.load(make_model(classes=0), device="cpu")
    assert model.classes == ()
    assert model.sample(2).shape == (2, 32, 32, 3)
    assert model.project(model.sample(1)[0], steps=2).label is None
    with pytest.raises(UserError, match="label 'cat': this model has no classes"):
        model.sample(2, label="cat")


def test_what_is_wrong_is_one_line(model: gan.TrainedModel, tmp_path: Path) -> None:
    wrong = {
        "label 'dog': no class of this model; it has ant, bee, cat": lambda: model.sample(1, label="dog"),
        "label 3: no class": lambda: model.sample(1, label=3),
        "label -1: no class": lambda: model.sample(1, label=-1),
        "label None: no class": lambda: model.images(model.latents(2)),
        "2 labels for 3 latents": lambda: model.images(model.latents(3), label=["ant", "bee"]),
        "latents of shape (2, 7): this model takes (N, 8)": lambda: model.images(np.zeros((2, 7)), label=0),
        "count 0: give a whole number": lambda: model.sample(0),
        "steps 1.5: give a whole number": lambda: model.interpolate(1.5),
        "an array float64 (32, 32) is not an image": lambda: model.project(np.zeros((32, 32))),
        "an array uint8 (32, 32, 2) is not an image": lambda: model.project(np.zeros((32, 32, 2), np.uint8)),
        "holds a generator alone; load models/final.safetensors": lambda: model.embed(model.sample(1)),
        "no such file": lambda: gan.load(tmp_path / "no.safetensors"),
    }
    for expected, call in wrong.items():
        with pytest.raises(UserError) as caught:
            call()
        assert expected in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        gan.nothing  # noqa: B018


def test_a_discriminator_of_another_version_is_named(make_model: MakeModel, tmp_path: Path) -> None:
    file = final(make_model, tmp_path)
    tensors, config = model_file.load(file)
    renamed = {name.replace("discriminator.", "discriminator.old."): t for name, t in tensors.items()}
    model_file.save(file, renamed, config)
    with pytest.raises(
        UserError, match=r"final.safetensors: its discriminator is none of this version"
    ) as caught:
        gan.load(file)
    assert "\n" not in str(caught.value)
    generator = {k.removeprefix("generator_ema."): t for k, t in tensors.items() if "generator_ema." in k}
    model_file.save(file, generator, config)  # as the line advises: the published one
    assert gan.load(file).sample(1).shape == (1, 32, 32, 3)


def test_importing_gan_loads_no_torch() -> None:
    probe = "import sys, gan; assert 'torch' not in sys.modules; gan.load; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True)
