"""Networks: shapes, faithfulness to their papers, initialisation, model files."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from gan import params
from gan.errors import UserError
from gan.networks import build, files
from gan.params import Network
from tests.conftest import ROOT

DEFAULT = params.load(ROOT / "params.yaml")
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def network(**changes: object) -> Network:
    return Network.model_validate({**DEFAULT.network.model_dump(), "base_channels": 4, **changes})


@pytest.mark.parametrize(
    ("size", "channels", "kernel", "dense", "act"),
    list(itertools.product([32, 64, 128], [1, 3], [4, 5], [0, 16], ["relu", "leaky_relu"])),
)
def test_dcgan_builds_every_size(size: int, channels: int, kernel: int, dense: int, act: str) -> None:
    chosen = network(kernel_size=kernel, dense_units=dense, generator_activation=act)
    generator = build.build_generator(chosen, size, channels)
    images = generator(torch.randn(3, chosen.latent_dim))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert build.build_discriminator(chosen, size, channels)(images).shape == (3,)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_dcgan_builds_every_depth(depth: int) -> None:
    chosen = network(depth=depth)
    images = build.build_generator(chosen, 32, 1)(torch.randn(2, chosen.latent_dim))
    assert images.shape == (2, 1, 32, 32)
    assert build.build_discriminator(chosen, 32, 1)(images).shape == (2,)


@pytest.mark.parametrize(("act", "layers"), list(itertools.product(["maxout", "leaky_relu"], [1, 2, 3])))
def test_mlp_builds(act: str, layers: int) -> None:
    chosen = network(architecture="mlp", mlp_activation=act, hidden_layers=layers, hidden_units=16)
    images = build.build_generator(chosen, 32, 3)(torch.randn(2, chosen.latent_dim))
    assert images.shape == (2, 3, 32, 32)
    assert build.build_discriminator(chosen, 32, 3)(images).shape == (2,)


def test_maxout_is_the_maximum_of_its_pieces() -> None:
    from gan.networks.mlp import Maxout

    layer, inputs = Maxout(5, 4, 3), torch.randn(2, 5)
    pieces = layer.linear(inputs).reshape(2, 4, 3)
    assert torch.equal(layer(inputs), pieces.max(2).values)


def test_the_seed_recipe_is_the_seed() -> None:
    seed = params.load(ROOT / "recipes" / "cifar10-seed.yaml")
    discriminator = build.build_discriminator(seed.network, 32, 3)
    convolutions = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 128, 256, 512]
    assert {(c.kernel_size, c.stride) for c in convolutions} == {((5, 5), (2, 2))}
    assert [m.out_features for m in discriminator.modules() if isinstance(m, nn.Linear)] == [1024, 1]
    generator = build.build_generator(seed.network, 32, 3)
    transposed = [layer for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [c.in_channels for c in transposed] == [512, 256, 128, 64]
    assert {(c.kernel_size, c.stride) for c in transposed} == {((5, 5), (2, 2))}
    assert not [m for m in generator.modules() if isinstance(m, nn.ReLU)]
    train = seed.train
    assert (train.batch_size, train.epochs, train.learning_rate, train.beta1) == (64, 100, 2e-4, 0.5)
    assert (train.lr_decay_factor, train.lr_decay_steps, train.ema_decay) == (0.5, 100_000, 0)


def test_no_batch_normalisation_beside_the_pixels() -> None:
    generator, discriminator = (
        make(network(), 64, 3) for make in (build.build_generator, build.build_discriminator)
    )
    assert isinstance(list(generator.upsample)[-2], nn.ConvTranspose2d)
    assert isinstance(list(discriminator.layers)[1], nn.LeakyReLU)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_builds(path: Path) -> None:
    recipe = params.load(path)
    for channels in (1, 3):
        images = build.build_generator(recipe.network, recipe.data.image_size, channels)(
            torch.randn(2, recipe.network.latent_dim)
        )
        assert images.shape[2] == recipe.data.image_size
        build.build_discriminator(recipe.network, recipe.data.image_size, channels)(images)


def test_initialisation_is_the_papers_and_repeats() -> None:
    models = [build.build_generator(network(base_channels=32), 32, 3) for _ in range(2)]
    for model in models:
        build.initialise(model, 7, "generator")
    weight = models[0].project[0].weight.detach()
    assert weight.mean().abs() < 0.001
    assert weight.std() == pytest.approx(0.02, rel=0.05)
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in models), strict=True))
    build.initialise(models[1], 8, "generator")
    assert not torch.equal(weight, models[1].project[0].weight)


def test_latents_have_their_distribution() -> None:
    normal = build.draw_latents(network(), 1000, torch.Generator().manual_seed(0))
    uniform = build.draw_latents(
        network(latent_distribution="uniform"), 1000, torch.Generator().manual_seed(0)
    )
    assert normal.std() == pytest.approx(1, abs=0.02)
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() < 1
    assert uniform.std() == pytest.approx(3**-0.5, abs=0.01)


def test_a_model_file_gives_back_its_network_and_equal_models_equal_bytes(tmp_path: Path) -> None:
    chosen = network(dense_units=8)
    model = build.build_generator(chosen, 32, 3).eval()
    config = {"network": chosen.model_dump(), "image_size": 32, "channels": 3, "step": 5, "train": {"a": 1}}
    for name in ("a", "b"):
        files.save(tmp_path / name, model.state_dict(), config)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded, described = files.load_generator(tmp_path / "a")
    latents = torch.randn(2, chosen.latent_dim)
    assert described == chosen
    assert torch.equal(loaded(latents), model(latents))


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_model_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match="not a model file"):
        files.load(tmp_path / "m")
    with pytest.raises(UserError, match="no such file"):
        files.load(tmp_path / "absent")
