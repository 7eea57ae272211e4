"""Networks: shapes, faithfulness to their papers, initialisation, model files."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from gan import params
from gan.errors import UserError
from gan.networks import build, mlp, model_file, residual
from gan.params import Network
from gan.training.draws import Draws
from tests.conftest import DEFAULTS, ROOT

DEFAULT = params.load(DEFAULTS)
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
    discriminator = build.build_discriminator(chosen, 32, 3)
    for layer in discriminator.modules():
        if isinstance(layer, mlp.Dropout):
            layer.uniform = torch.rand
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize(
    ("size", "channels", "classes", "norm"),
    list(itertools.product([32, 64, 128], [1, 3], [0, 3], [False, True])),
)
def test_resnet_builds_every_size(size: int, channels: int, classes: int, norm: bool) -> None:
    chosen = network(architecture="resnet", base_channels=2, spectral_norm=norm)
    hot = torch.eye(3)[[2, 0]] if classes else None
    images = build.build_generator(chosen, size, channels, classes)(
        build.join(torch.randn(2, chosen.latent_dim), hot)
    )
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    discriminator = build.build_discriminator(chosen, size, channels, classes)
    if norm:
        build.normalise_spectrally(discriminator, 0)
    assert discriminator(images, hot).shape == (2,)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_resnet_builds_every_depth(depth: int) -> None:
    chosen = network(architecture="resnet", depth=depth)
    images = build.build_generator(chosen, 32, 1)(torch.randn(2, chosen.latent_dim))
    assert images.shape == (2, 1, 32, 32)
    assert build.build_discriminator(chosen, 32, 1)(images).shape == (2,)


@pytest.mark.parametrize(
    ("size", "channels", "classes"), list(itertools.product([32, 64, 128], [1, 3], [0, 3]))
)
def test_residual_builds_every_size(size: int, channels: int, classes: int) -> None:
    chosen = network(architecture="residual", base_channels=2)
    hot = torch.eye(3)[[2, 0]] if classes else None
    generator, discriminator = (
        make(chosen, size, channels, classes) for make in (build.build_generator, build.build_discriminator)
    )
    images = generator(build.join(torch.randn(2, chosen.latent_dim), hot))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images, hot).shape == (2,)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_residual_builds_every_depth(depth: int) -> None:
    chosen = network(architecture="residual", depth=depth)
    images = build.build_generator(chosen, 32, 1)(torch.randn(2, chosen.latent_dim))
    assert images.shape == (2, 1, 32, 32)
    assert build.build_discriminator(chosen, 32, 1)(images).shape == (2,)


def test_residual_is_the_papers() -> None:
    chosen = network(architecture="residual", base_channels=16)
    generator = build.build_generator(chosen, 32, 3)
    build.initialise(generator, 0, "generator")
    assert not [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [block.widen.in_channels for block in generator.blocks] == [128, 64, 32, 16]
    assert {block.mix.in_channels // block.mix.groups for block in generator.blocks} == {16}
    block, x = generator.blocks[1], torch.randn(2, 64, 8, 8)
    assert torch.equal(block(x), x)  # at the beginning a block is its shortcut
    leaky = nn.LeakyReLU(0.2)
    nn.init.normal_(block.narrow.weight)
    assert torch.allclose(block(x), x + block.narrow(leaky(block.mix(leaky(block.widen(x))))), atol=1e-5)
    for layer in (block.widen, block.mix):
        fan_in = layer.weight[0].numel()
        expected = (2 / (1.04 * fan_in)) ** 0.5 * 4**-0.25
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_residual_doubles_as_bilinear_interpolation_does() -> None:
    x = torch.randn(2, 3, 5, 4)
    expected = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    assert torch.allclose(residual.doubled(x), expected, atol=1e-6)


def test_the_resnet_is_the_papers() -> None:
    chosen = network(architecture="resnet", base_channels=8)
    generator, discriminator = (
        make(chosen, 32, 3) for make in (build.build_generator, build.build_discriminator)
    )
    assert not [m for m in discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [up.first.out_channels for up in generator.blocks] == [32, 16, 8]
    assert [down.second.out_channels for down in discriminator.blocks] == [8, 16, 32, 32]
    x = torch.randn(2, 16, 8, 8)
    up, down = generator.blocks[2], discriminator.blocks[2]
    double = nn.Upsample(scale_factor=2)  # the equations of table 4's blocks, one by one
    inner = up.second(torch.relu(up.norms[1](up.first(double(torch.relu(up.norms[0](x)))))))
    assert torch.allclose(up(x), up.shortcut(double(x)) + inner, atol=1e-5)
    half = nn.AvgPool2d(2)
    inner = down.second(torch.relu(down.first(torch.relu(x))))
    assert torch.allclose(down(x), half(down.shortcut(x)) + half(inner), atol=1e-5)


@pytest.mark.parametrize("architecture", ["dcgan", "resnet", "residual", "mlp"])
def test_with_classes_the_discriminator_adds_how_well_image_and_label_go_together(
    architecture: str,
) -> None:
    chosen = network(architecture=architecture, hidden_units=8, dropout=0.0)
    discriminator = build.build_discriminator(chosen, 32, 1, 3).eval()
    images, hot = torch.rand(3, 1, 32, 32), torch.eye(3)
    seen: list[torch.Tensor] = []
    discriminator.head.register_forward_hook(lambda _module, inputs, _out: seen.append(inputs[0]))
    logits = discriminator(images, hot)
    head, phi = discriminator.head, seen[0].flatten(2).mean(2)
    # Miyato & Koyama 2018, equation 3: y' V phi(x) + psi(phi(x)), of features averaged over the image
    projected = torch.stack([hot[i] @ head.embed.weight.mT @ phi[i] for i in range(3)])
    assert torch.allclose(logits, projected + head.score(seen[0].flatten(1)).squeeze(1), atol=1e-5)
    assert not torch.allclose(logits, discriminator(images, hot.roll(1, 0)), atol=1e-5)


@pytest.mark.parametrize("architecture", ["dcgan", "resnet"])
def test_spectral_normalisation_divides_by_the_largest_singular_value(architecture: str) -> None:
    chosen = network(architecture=architecture)
    models = [build.build_discriminator(chosen, 32, 1, 2) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        build.initialise(model, 3, "discriminator")
        build.normalise_spectrally(model, seed)
        model.train()
    images, hot = torch.rand(2, 1, 32, 32), torch.eye(2)
    outputs = [model(images, hot) for model in models]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])  # the first vectors are drawn from the seed
    for _ in range(30):
        models[0](images, hot)
    for layer in models[0].modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            assert torch.linalg.svdvals(layer.weight.detach().flatten(1))[0] == pytest.approx(1, abs=0.01)


def test_inputs_are_latents_with_one_hot_labels_behind_them() -> None:
    latents, labels = torch.randn(3, 5), build.one_hot(torch.tensor([2, 0, 1]), 4)
    inputs = build.join(latents, labels)
    assert torch.equal(inputs[:, :5], latents)
    assert inputs[:, 5:].tolist() == [[0, 0, 3, 0], [3, 0, 0, 0], [0, 3, 0, 0]]
    assert build.join(latents, None) is latents


def test_labels_are_as_common_as_their_counts() -> None:
    labels = build.draw_labels([30, 0, 10], 4000, torch.Generator().manual_seed(0))
    assert labels.dtype == torch.int64
    assert (labels.bincount(minlength=3) / 4000).tolist() == pytest.approx([0.75, 0, 0.25], abs=0.03)


def test_maxout_is_the_maximum_of_its_pieces() -> None:
    layer, inputs = mlp.Maxout(5, 4, 3), torch.randn(2, 5)
    pieces = layer.linear(inputs).reshape(2, 4, 3)
    assert torch.equal(layer(inputs), pieces.max(2).values)


def test_dropout_zeroes_its_share_in_training_and_keeps_the_mean() -> None:
    layer, inputs = mlp.Dropout(0.25), torch.ones(200, 50)
    layer.uniform = Draws(0, "cpu").uniform
    out = layer(inputs)
    assert out.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (out == 0).float().mean() == pytest.approx(0.25, abs=0.02)
    assert layer.eval()(inputs) is inputs


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
        shape = recipe.data.image_size, channels, 10 if recipe.network.conditional else 0
        hot = torch.eye(10)[:2] if recipe.network.conditional else None
        images = build.build_generator(recipe.network, *shape)(
            build.join(torch.randn(2, recipe.network.latent_dim), hot)
        )
        assert images.shape[2] == recipe.data.image_size
        discriminator = build.build_discriminator(recipe.network, *shape).eval()
        places = (52,) if recipe.network.architecture == "projected" else ()
        assert discriminator(images, hot).shape == (2, *places)


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


def test_residual_networks_begin_with_weights_that_keep_the_size_of_what_they_see() -> None:
    model = build.build_discriminator(network(architecture="resnet", base_channels=32), 32, 3)
    build.initialise(model, 7, "discriminator")
    weight = model.blocks[1].second.weight  # Glorot 2010, equation 16: 64 channels in and out, 3×3
    assert weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def test_latents_have_their_distribution() -> None:
    normal = build.draw_latents(network(), 1000, torch.Generator().manual_seed(0))
    uniform = build.draw_latents(
        network(latent_distribution="uniform"), 1000, torch.Generator().manual_seed(0)
    )
    assert normal.std() == pytest.approx(1, abs=0.02)
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() < 1
    assert uniform.std() == pytest.approx(3**-0.5, abs=0.01)


@pytest.mark.parametrize("counts", [None, [5, 0, 7]])
@pytest.mark.parametrize("architecture", ["dcgan", "resnet", "residual"])
def test_a_model_file_gives_back_its_network_and_equal_models_equal_bytes(
    tmp_path: Path, architecture: str, counts: list[int] | None
) -> None:
    chosen = network(architecture=architecture, dense_units=8, conditional=counts is not None)
    classes = len(counts or ())
    model = build.build_generator(chosen, 32, 3, classes).eval()
    config = {
        "network": chosen.model_dump(),
        "image_size": 32,
        "channels": 3,
        "class_counts": counts,
        "images_seen": 40,
        "step": 5,
        "train": {"a": 1},
    }
    for name in ("a", "b"):
        model_file.save(tmp_path / name, model.state_dict(), config)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = model_file.load_generator(tmp_path / "a")
    inputs = torch.randn(2, chosen.latent_dim + classes)
    assert loaded.network == chosen
    assert loaded.class_counts == (None if counts is None else (5, 0, 7))
    assert loaded.images_seen == 40
    assert torch.equal(loaded.model(inputs), model(inputs))


@pytest.mark.parametrize("key", ["network", "class_counts", "images_seen"])
def test_a_generator_of_another_version_is_one_line(tmp_path: Path, key: str) -> None:
    model = build.build_generator(network(), 32, 3)
    config = {"network": network().model_dump(), "image_size": 32, "channels": 3}
    config |= {"class_counts": None, "images_seen": 40}
    model_file.save(tmp_path / "m", model.state_dict(), {k: v for k, v in config.items() if k != key})
    with pytest.raises(UserError, match=rf"m: not a generator of this version \('{key}'\)$"):
        model_file.load_generator(tmp_path / "m")
    model_file.save(tmp_path / "m", model.state_dict(), {**config, "class_counts": [5, 7]})
    with pytest.raises(UserError, match=r"m: not a generator of this version \([^\n]*\)$"):
        model_file.load_generator(tmp_path / "m")


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_model_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match="not a model file"):
        model_file.load(tmp_path / "m")
    with pytest.raises(UserError, match="no such file"):
        model_file.load(tmp_path / "absent")
