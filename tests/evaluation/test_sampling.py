"""Sampling: the same images whatever the batch; interpolations begin and end at their latents."""

import pytest
import torch

from gan import images, params
from gan.evaluation import sampling
from gan.networks import build
from tests.conftest import ROOT

NETWORK = params.load(ROOT / "params.yaml").network.model_copy(update={"base_channels": 4})


def test_the_batch_size_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    model = build.build_generator(NETWORK, 32, 3)
    build.initialise(model, 0, "generator")
    latents = sampling.sample_latents(NETWORK, 30, seed=1)
    whole = sampling.generate(model.eval(), latents, "cpu")
    monkeypatch.setattr(sampling, "BATCH", 7)
    parts = sampling.generate(model, latents, "cpu")
    assert whole.dtype == torch.uint8
    assert whole.shape == (30, 3, 32, 32)
    assert torch.equal(whole, parts)


def test_more_samples_begin_with_the_same() -> None:
    few, many = (sampling.sample_latents(NETWORK, count, seed=3) for count in (20, 40))
    assert few.shape == (20, NETWORK.latent_dim)
    assert torch.equal(few[:16], many[:16])


def test_interpolations_go_from_one_latent_to_another_without_shrinking() -> None:
    points = sampling.interpolations(NETWORK, 3, 5, seed=0).reshape(3, 5, -1)
    ends = sampling.sample_latents(NETWORK, 6, 0, "interpolation")
    assert torch.allclose(points[:, 0], ends[:3], atol=1e-4)
    assert torch.allclose(points[:, -1], ends[3:], atol=1e-4)
    assert (points.norm(dim=2) > 0.8 * ends.norm(dim=1).min()).all()


def test_pixels_round_and_come_back() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(torch.from_numpy(images.to_uint8(images.to_float(every))), every)
    assert images.to_uint8(torch.tensor([[[[-2.0, 2.0]]]])).tolist() == [[[[0, 255]]]]


def test_a_grid_is_laid_out_in_rows() -> None:
    batch = torch.stack([torch.full((1, 2, 2), i, dtype=torch.uint8) for i in range(5)]).numpy()
    sheet = images.grid(batch, columns=3, gap=1)
    assert sheet.shape == (1, 5, 8)
    assert [sheet[0, 0, 0], sheet[0, 0, 3], sheet[0, 3, 3], sheet[0, 4, 7]] == [0, 1, 4, 255]
