"""The length of paths between latents: its closed form, and rough generators' longer ones."""

import pytest
import torch
from torch import nn

from gan import params, seeds
from gan.evaluation import path_length
from gan.networks import build
from gan.networks.model_file import Published
from tests.conftest import DEFAULTS

NETWORK = params.load(DEFAULTS).network.model_copy(update={"latent_dim": 16})


class Painter(nn.Module):
    """Latents → images: each pixel a function of one number of the latent."""

    def __init__(self, roughness: float) -> None:
        super().__init__()
        self.roughness = roughness

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (self.roughness * inputs[:, :16]).sin().reshape(-1, 1, 4, 4) * 0.9


class Eye(nn.Module):
    """Images → nothing, pixels as features, nothing."""

    def forward(self, images: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        return None, images.flatten(1), None


def lengths(model: nn.Module, counts: tuple[int, ...] | None = None) -> torch.Tensor:
    return path_length.path_lengths(
        Published(model, NETWORK, counts, 0), Eye(), torch.full((16,), 2.0), 300, 1, "cpu"
    )


def test_is_the_squared_speed_along_the_great_circle() -> None:
    rng = seeds.generator(1, "path")
    start, end = build.draw_latents(NETWORK, 600, rng).double().chunk(2)
    t = torch.rand(300, 1, generator=rng, dtype=torch.float64)
    angle = nn.functional.cosine_similarity(start, end)[:, None].acos()
    where = (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()
    speed = angle * ((t * angle).cos() * end - ((1 - t) * angle).cos() * start) / angle.sin()
    pixels = 127.5 * 0.9 * 0.3 * (0.3 * where).cos() * speed
    expected = (pixels / 2).square().sum(1)
    assert torch.allclose(lengths(Painter(0.3)), expected, rtol=0.02)


def test_a_rougher_generator_has_longer_paths() -> None:
    values = [path_length.trimmed(lengths(Painter(roughness)))[0] for roughness in (0.1, 0.3, 1, 3)]
    assert values == sorted(values)
    assert values[-1] > 50 * values[0]


def test_a_class_stays_the_same_on_the_way() -> None:
    """A generator that shows its class alone does not move at all."""

    class Label(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs[:, 16:].repeat(1, 8).reshape(-1, 1, 4, 4) / 3

    assert lengths(Label(), counts=(5, 5)).max() == 0


def test_the_mean_without_its_ends() -> None:
    values = torch.arange(1.0, 201.0, dtype=torch.float64)
    values[-1] = 1e9
    mean, sd = path_length.trimmed(values[torch.randperm(200)])
    assert mean == pytest.approx(100.5)
    assert sd == pytest.approx(200 / 12**0.5 / 200**0.5, rel=0.05)


def test_the_spread_of_that_mean() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = [path_length.trimmed(torch.randn(300, generator=rng).double().exp()) for _ in range(300)]
    means, deviations = zip(*drawn, strict=True)
    assert sum(deviations) / 300 == pytest.approx(float(torch.tensor(means).std()), rel=0.15)
