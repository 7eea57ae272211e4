"""Sampling: the same images whatever the batch; classes as in the data; interpolations between latents."""

import pytest
import torch

from gan import params
from gan.data import images
from gan.evaluation import sampling
from gan.networks import build
from gan.networks.model_file import Published
from tests.conftest import DEFAULTS

NETWORK = params.load(DEFAULTS).network.model_copy(update={"base_channels": 4})
COUNTS = (30, 0, 10)  # images of each class


def published(counts: tuple[int, ...] | None = None, **changes: object) -> Published:
    network = NETWORK.model_copy(update=changes)
    model = build.build_generator(network, 32, 3, len(counts or ()))
    build.initialise(model, 0, "generator")
    return Published(model.eval(), network, counts, 0)


def labels(generator: Published, inputs: torch.Tensor) -> torch.Tensor:
    """Return the classes that inputs ask for; each stands in them as one positive number."""
    hot = inputs[:, generator.network.latent_dim :]
    assert ((hot != 0).sum(1) == 1).all()
    return hot.argmax(1)


@pytest.mark.parametrize("architecture", ["dcgan", "resnet", "residual", "projected", "mlp"])
@pytest.mark.parametrize("counts", [None, COUNTS])
def test_how_many_are_drawn_at_a_time_does_not_show(
    architecture: str, counts: tuple[int, ...] | None
) -> None:
    torch.set_num_threads(2)
    generator = published(counts, architecture=architecture)
    inputs = sampling.sample_inputs(generator, 130, seed=1)
    whole = sampling.generate(generator.model, inputs, "cpu")
    assert whole.dtype == torch.uint8
    assert whole.shape == (130, 3, 32, 32)
    seen: set[int] = set()  # few differences of rounding reach a pixel, so the cause is looked at too
    generator.model.register_forward_pre_hook(lambda _, given: seen.add(len(given[0])))
    for count in (1, 7, 64, 100):
        assert torch.equal(sampling.generate(generator.model, inputs[:count], "cpu"), whole[:count])
    assert seen == {sampling.BLOCK}
    assert [len(batch) for batch in sampling.blocks(generator.model, inputs, "cpu")] == [64, 64, 2]


@pytest.mark.parametrize("truncation", [None, 0.7])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_more_samples_begin_with_the_same(distribution: str, truncation: float | None) -> None:
    generator = published(COUNTS, latent_distribution=distribution, latent_dim=37)
    many = sampling.sample_inputs(generator, 90, seed=3, truncation=truncation)
    assert many.shape == (90, 37 + 3)
    for count in (1, 5, 16, 33, 89):
        few = sampling.sample_inputs(generator, count, seed=3, truncation=truncation)
        assert torch.equal(few, many[:count])


def test_one_class_alone_with_the_same_latents() -> None:
    generator = published(COUNTS)
    inputs = sampling.sample_inputs(generator, 20, seed=0, only=1)
    assert labels(generator, inputs).tolist() == [1] * 20
    every = sampling.sample_inputs(generator, 20, seed=0)
    assert torch.equal(inputs[:, : NETWORK.latent_dim], every[:, : NETWORK.latent_dim])


def test_a_round_trip_has_no_seam_and_no_jump() -> None:
    generator = published(COUNTS)
    path = sampling.round_trip(generator, 48, 3, seed=0).reshape(48, 3, -1)
    hot = labels(generator, path.flatten(0, 1)).reshape(48, 3)
    assert torch.equal(hot, hot[:1].expand(48, 3))
    latents = path[:, :, : NETWORK.latent_dim]
    steps = (latents - latents.roll(-1, 0)).norm(dim=2)  # from each frame to the next, the last to the first
    far = (latents[0] - latents[24]).norm(dim=1)
    assert (steps.max(0).values < far / 4).all()
    assert (steps.min(0).values > 0).all()
    assert (latents.norm(dim=2) > 0.8 * latents[0].norm(dim=1).min()).all()
    few = sampling.round_trip(generator, 2, 3, seed=0).reshape(2, 3, -1)
    assert not torch.equal(few[0], few[1])


def test_classes_come_as_often_as_in_the_training_set() -> None:
    generator = published(COUNTS)
    inputs = sampling.sample_inputs(generator, 4000, seed=0)
    assert inputs.shape == (4000, NETWORK.latent_dim + 3)
    shares = labels(generator, inputs).bincount(minlength=3) / 4000
    assert shares.tolist() == pytest.approx([0.75, 0, 0.25], abs=0.03)
    latents = sampling.sample_inputs(published(), 4000, seed=0)
    assert torch.equal(inputs[:, : NETWORK.latent_dim], latents)  # the same as without classes
    assert inputs[:, NETWORK.latent_dim :].amax() == build.LABEL_LENGTH


def test_the_class_shows_in_the_image() -> None:
    generator = published(COUNTS)
    inputs = sampling.sample_inputs(generator, 8, seed=0)
    other = torch.cat([inputs[:, : NETWORK.latent_dim], inputs[:, NETWORK.latent_dim :].roll(1, 1)], 1)
    assert not torch.equal(*(generator.model(x) for x in (inputs, other)))


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_truncation_keeps_latents_within_bounds_and_fills_them(distribution: str) -> None:
    generator = published(COUNTS, latent_distribution=distribution)
    for truncation in (0.5, 1.5):
        inputs = sampling.sample_inputs(generator, 200, seed=0, truncation=truncation)
        latents = inputs[:, : NETWORK.latent_dim].abs()
        bound = truncation if distribution == "normal" else min(truncation, 1.0)  # no further than trained
        assert 0.98 * bound < latents.max() <= bound
        assert (inputs[:, NETWORK.latent_dim :] != 0).sum() == 200
    free = sampling.sample_inputs(published(), 200, seed=0).abs().max()
    assert free > 3.5


def test_interpolations_go_from_one_latent_to_another_without_shrinking() -> None:
    points = sampling.interpolations(published(), 3, 5, seed=0).reshape(3, 5, -1)
    ends = sampling.sample_inputs(published(), 6, 0, "interpolation")
    assert torch.allclose(points[:, 0], ends[:3], atol=1e-4)
    assert torch.allclose(points[:, -1], ends[3:], atol=1e-4)
    assert (points.norm(dim=2) > 0.8 * ends.norm(dim=1).min()).all()


def test_each_row_of_interpolations_keeps_to_one_class() -> None:
    generator = published(COUNTS)
    inputs = sampling.interpolations(generator, 40, 5, seed=0)
    rows = labels(generator, inputs).reshape(40, 5)
    assert torch.equal(rows, rows[:, :1].expand(40, 5))
    assert set(rows[:, 0].tolist()) == {0, 2}
    plain = sampling.interpolations(published(), 40, 5, seed=0)
    assert torch.equal(inputs[:, : NETWORK.latent_dim], plain)


def test_pixels_round_and_come_back() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(torch.from_numpy(images.to_uint8(images.to_float(every))), every)
    assert images.to_uint8(torch.tensor([[[[-2.0, 2.0]]]])).tolist() == [[[[0, 255]]]]


def test_a_grid_is_laid_out_in_rows() -> None:
    batch = torch.stack([torch.full((1, 2, 2), i, dtype=torch.uint8) for i in range(5)]).numpy()
    sheet = images.grid(batch, columns=3, gap=1)
    assert sheet.shape == (1, 5, 8)
    assert [sheet[0, 0, 0], sheet[0, 0, 3], sheet[0, 3, 3], sheet[0, 4, 7]] == [0, 1, 4, 255]
