"""Copies are found, and real images are not called so."""

import pytest
import torch

from gan.evaluation import copies


def clusters(count: int, seed: int, d: int = 12) -> torch.Tensor:
    """Rows in clusters of different width, so that one distance does not fit all."""
    rng = torch.Generator().manual_seed(seed)
    which = torch.randint(3, (count,), generator=rng)
    width = torch.tensor([0.2, 1.0, 3.0])[which, None]
    return torch.randn(count, d, generator=rng) * width + 10 * which[:, None]


TRAIN, HELD_OUT, FRESH = clusters(900, 0), clusters(300, 1), clusters(400, 2)


def test_fresh_rows_are_no_copies() -> None:
    result = copies.memorised(TRAIN, HELD_OUT, FRESH, 3)
    assert result.flagged.double().mean() < 0.01
    assert result.floor < 0.01
    assert result.authentic.double().mean() == pytest.approx(0.6, abs=0.1)
    assert result.authentic_real.double().mean() == pytest.approx(0.6, abs=0.1)


def test_copies_are_found_whatever_the_scale_around_them() -> None:
    spacing = torch.cdist(TRAIN, TRAIN).fill_diagonal_(torch.inf).amin(1, keepdim=True)
    close = TRAIN[:200] + 0.2 * spacing[:200] * torch.nn.functional.normalize(FRESH[:200] - 7)
    mixed = torch.cat([FRESH[:200], close, TRAIN[200:300]])
    result = copies.memorised(TRAIN, HELD_OUT, mixed, 3)
    assert result.flagged[200:].all()
    assert result.flagged[:200].double().mean() < 0.01
    assert torch.equal(result.nearest.rows[200:, 0], torch.arange(300))
    assert not result.authentic[200:].any()


def test_a_copy_of_an_image_that_is_there_many_times_is_one_too() -> None:
    train = torch.cat([TRAIN, TRAIN[:1].repeat(9, 1)])
    result = copies.memorised(train, HELD_OUT, torch.cat([TRAIN[:1], FRESH[:50]]), 3)
    assert result.flagged[0]
    assert result.ratios[0] == 0
    assert not result.flagged[1:].any()


def test_a_few_held_out_copies_do_not_blunt_it() -> None:
    """3 % of CIFAR-10's test images nearly repeat training images."""
    leaked = torch.cat([HELD_OUT[:290], TRAIN[:10]])
    result = copies.memorised(TRAIN, leaked, torch.cat([FRESH, TRAIN[50:60] + 1e-3]), 3)
    assert result.flagged[-10:].all()
    assert result.flagged[:-10].double().mean() < 0.01


def test_authenticity_is_its_definition() -> None:
    """Alaa 2022: further from the nearest training row than that one from its own nearest, with loops."""
    train, drawn = TRAIN[:60], torch.cat([FRESH[:30], TRAIN[:60] + 0.01])
    expected = []
    for row in drawn:
        lengths = [float((row - other).norm()) for other in train]
        near = lengths.index(min(lengths))
        spacing = min(float((train[near] - train[i]).norm()) for i in range(60) if i != near)
        expected.append(lengths[near] > spacing)
    result = copies.memorised(train, HELD_OUT, drawn, 3)
    assert result.authentic.tolist() == expected
    assert any(expected)
    assert not all(expected)


def test_the_floor_leaves_each_training_row_out() -> None:
    """As if it were a sample and the training set lacked it: recomputed that way for some."""
    train = TRAIN[:80]
    result = copies.memorised(train, HELD_OUT, FRESH, 3)
    ratios = [
        float(copies.memorised(torch.cat([train[:i], train[i + 1 :]]), HELD_OUT, train[i : i + 1], 3).ratios)
        for i in range(80)
    ]
    assert result.floor == pytest.approx(sum(ratio <= result.threshold for ratio in ratios) / 80, abs=1e-9)


def test_repeated_samples_are_told_by_how_close_real_images_come() -> None:
    which, floor = copies.repeated(HELD_OUT, FRESH[:300])
    assert which.double().mean() <= 0.01
    assert floor <= 0.01
    half = torch.cat([FRESH[:200], FRESH[:50] + 1e-4, FRESH[:50] - 1e-4])
    which, _ = copies.repeated(HELD_OUT, half)
    assert torch.equal(which, torch.cat([torch.ones(50), torch.zeros(150), torch.ones(100)]).bool())


def test_pixels_are_means_of_squares() -> None:
    images = torch.arange(2 * 64 * 64).reshape(2, 1, 64, 64).remainder(251).to(torch.uint8)
    means = copies.pixels(images, torch.tensor([1, 0]))
    assert means.shape == (2, 256)
    assert means[1, 0] == images[0, 0, :4, :4].float().mean()
