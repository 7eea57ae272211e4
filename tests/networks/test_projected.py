"""The projected networks: shapes, what is trained and saved and what is not, the papers' parts."""

import itertools
from importlib import metadata
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gan import params
from gan.networks import build, efficientnet_lite, model_file, projected
from gan.networks.footprint import of_gan
from gan.params import Network
from tests.conftest import DEFAULTS

NETWORK = Network.model_validate(
    {**params.load(DEFAULTS).network.model_dump(), "architecture": "projected", "base_channels": 2}
)


@pytest.mark.parametrize(
    ("size", "channels", "classes"), list(itertools.product([32, 64, 128], [1, 3], [0, 3]))
)
def test_it_builds_every_size(size: int, channels: int, classes: int) -> None:
    generator = build.build_generator(NETWORK, size, channels, classes)
    images = generator(torch.randn(2, NETWORK.latent_dim + classes))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    discriminator = build.build_discriminator(NETWORK, size, channels, classes)
    hot = torch.eye(3)[:2] if classes else None
    places = 16 + 16 + 16 + (16 if size == 128 else 4)  # of each scale
    assert discriminator(images, hot).shape == (2, places)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_it_builds_every_depth(depth: int) -> None:
    network = NETWORK.model_copy(update={"depth": depth})
    images = build.build_generator(network, 32, 3)(torch.randn(2, network.latent_dim))
    assert images.shape == (2, 3, 32, 32)


def discriminator(classes: int = 0) -> torch.nn.Module:
    made = build.build_discriminator(NETWORK, 32, 3, classes)
    build.initialise(made, 0, "discriminator")
    return made


def test_only_its_heads_are_trained_and_saved() -> None:
    made = discriminator()
    names = set(made.state_dict())
    assert names == {name for name, _ in made.named_parameters()}
    assert all(name.startswith("heads.") for name in names)
    images = (torch.rand(2, 3, 32, 32) * 2 - 1).requires_grad_()
    made.requires_grad_(False)  # as in the generator's step
    made(images).sum().backward()
    assert images.grad.abs().amin((1, 2, 3)).shape == (2,) and images.grad.abs().sum() > 0


def test_the_saved_heads_are_the_whole_of_it() -> None:
    """Features and mixing are the same in every process, so a file without them is the same network."""
    first, second = discriminator(), build.build_discriminator(NETWORK, 32, 3)
    second.load_state_dict(first.state_dict())
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.equal(first(images), second(images))


def test_all_scales_begin_alike() -> None:
    """On a photo the mixed maps of each scale have a deviation of about 1, whatever the features had."""
    from tests.networks.test_efficientnet_lite import photo

    made = discriminator()
    images = torch.cat([photo(64), photo(64).flip(3), photo(64) * 0.5])
    mixed = made.mixing(made.features.maps(enlarged_to_side(images)))
    assert [tuple(maps.shape[1:]) for maps in mixed] == [
        (width, 16 >> i, 16 >> i) for i, width in enumerate(projected.MIXED)
    ]
    assert all(0.4 < maps.std() < 2.5 for maps in mixed)


def enlarged_to_side(images: torch.Tensor) -> torch.Tensor:
    return efficientnet_lite.enlarged(images, projected.SIDE)


def test_scales_are_mixed_from_the_smallest_up() -> None:
    """What is in the smallest map reaches the largest one; nothing goes the other way."""
    made = discriminator().mixing
    maps = [torch.zeros(1, width, 32 >> i, 32 >> i) for i, width in enumerate(projected.WIDTHS)]
    maps[3][:] = 1.0
    assert all(mixed.abs().sum() > 0 for mixed in made(maps))
    maps[3][:] = 0.0
    maps[0][:] = 1.0
    assert [bool(mixed.abs().sum()) for mixed in made(maps)] == [True, False, False, False]


def test_small_maps_weigh_the_channels_of_large_ones() -> None:
    """FastGAN, equation 1: y = F(x_low) · x_high, with the 4×4 maps weighing those of 32×32."""
    generator = build.build_generator(NETWORK, 64, 3).eval()
    assert len(generator.skips) == 2
    seen: dict[str, torch.Tensor] = {}
    parts = {"low": generator.project, "high": generator.ups[2], "next": generator.ups[3]}
    for name, part in parts.items():
        part.register_forward_hook(lambda _, given, out, name=name: seen.update({name: (given[0], out)}))
    generator(torch.randn(3, NETWORK.latent_dim))
    skip, low = generator.skips[0], seen["low"][1]
    first = skip.first.weight.unflatten(1, (-1, 4, 4))  # FastGAN's 4×4 convolution
    inner = F.leaky_relu(F.conv2d(low, first, skip.first.bias), 0.1)
    weights = torch.sigmoid(F.conv2d(inner, skip.second.weight[:, :, None, None], skip.second.bias))
    assert weights.shape == (3, NETWORK.base_channels * 2, 1, 1)
    assert torch.allclose(seen["next"][0], weights * seen["high"][1], atol=1e-6)


def test_how_much_a_group_of_images_differs() -> None:
    """Karras 2018, section 3: the deviation of each feature over a group of 4, averaged over features."""
    values = torch.tensor([1.0, 3.0, 5.0, 7.0, 2.0, 2.0, 2.0, 2.0])  # deviations sqrt(5) and 0
    maps = torch.stack([values, values * 3], 1)[:, :, None, None].expand(-1, -1, 2, 3)
    wanted = torch.tensor([2 * 5**0.5] * 4 + [0.0] * 4)
    assert torch.allclose(projected.deviation(maps), wanted, atol=2e-4)
    assert torch.allclose(projected.deviation(maps[:2]), torch.tensor([2.0, 2.0]))
    assert torch.allclose(projected.deviation(maps[:3]), torch.zeros(3), atol=2e-4)  # each alone


def test_a_discriminator_sees_which_group_is_all_alike() -> None:
    """The same image has other logits among its copies; in evaluation mode the others do not matter."""
    made = discriminator()
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    copied = images[:1].expand(4, -1, -1, -1)
    assert ((made(images)[0] - made(copied)[0]).abs() > 1e-6).all()
    made.eval()
    assert torch.allclose(made(images)[0], made(images[:1])[0], atol=1e-5)


def test_labels_are_judged_at_each_place() -> None:
    made = discriminator(classes=2)
    images, hot = torch.rand(2, 3, 32, 32), torch.eye(2)
    change = (made(images, hot) - made(images, hot.flip(0))).abs()
    assert change.shape == (2, 52) and (change > 0).all()


def test_a_generator_s_file_needs_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = build.build_generator(NETWORK, 32, 3)
    config = {"network": NETWORK.model_dump(), "image_size": 32, "channels": 3, "class_counts": None}
    model_file.save(tmp_path / "g.safetensors", generator.state_dict(), {**config, "images_seen": 1})
    monkeypatch.setattr(efficientnet_lite, "KEPT", tmp_path / "none")
    monkeypatch.setattr(metadata, "distribution", lambda _: pytest.fail("asked for the package"))
    loaded = model_file.load_generator(tmp_path / "g.safetensors").model
    latents = torch.randn(2, NETWORK.latent_dim)
    assert torch.equal(loaded(latents), generator.eval()(latents))


def test_its_memory_is_counted_without_computing() -> None:
    few, more = (of_gan(NETWORK, 64, 3, 0, batch) for batch in (4, 8))
    assert 10**7 < few < more < 10**9
