"""Differentiable augmentation: what it changes, how much, how often, and gradients that follow."""

import pytest
import torch

from gan.training.augment import Augment, cut_out, recolor, translate
from gan.training.draws import Draws
from tests.training.conftest import MakeLoop


def limits(count: int, limit: float) -> torch.Tensor:
    return torch.full((count, 1, 1, 1), limit)


def pictures(count: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_every_image_is_shifted_within_the_limit_and_the_edge_is_filled() -> None:
    images = torch.full((500, 2, 9, 9), -1.0)
    images[:, 0, 4, 4], images[:, 1, 4, 4] = 1.0, 0.5
    moved = translate(images, limits(500, 3), Draws(0, "cpu"))
    positions = (moved[:, 0] == 1).nonzero()
    assert len(positions) == 500
    assert set(map(tuple, (positions[:, 1:] - 4).tolist())) == {
        (y, x) for y in range(-3, 4) for x in range(-3, 4)
    }
    assert torch.equal(moved[:, 1] == 0.5, moved[:, 0] == 1)
    assert (moved == -1).sum() == 500 * 2 * 80


def test_what_leaves_is_gone_and_gradients_come_back_to_where_they_came_from() -> None:
    images = torch.ones(50, 1, 8, 8, requires_grad=True)
    moved = translate(images, limits(50, 2), Draws(0, "cpu"))
    assert moved.min() == -1
    moved.clamp(min=0).sum().backward()
    assert images.grad is not None
    assert images.grad.sum() == (moved == 1).sum()


def test_no_limit_is_no_change() -> None:
    images = pictures(2)
    assert Augment(0, 0.0, 0.0)(images, Draws(0, "cpu")) is images
    assert torch.allclose(translate(images, limits(2, 0), Draws(0, "cpu")), images, atol=1e-6)


def test_colours_change_in_brightness_saturation_and_contrast_within_their_limits() -> None:
    images = pictures(400)
    changed = recolor(images, limits(400, 1.0), Draws(0, "cpu"))

    def grey(x: torch.Tensor) -> torch.Tensor:
        return x.mean(1, keepdim=True)

    def spread(x: torch.Tensor) -> torch.Tensor:  # within an image
        return x.flatten(1).std(1)

    brightness = changed.mean((1, 2, 3)) - images.mean((1, 2, 3))
    contrast = spread(grey(changed)) / spread(grey(images))
    saturation = spread(changed - grey(changed)) / spread(images - grey(images)) / contrast
    for values, low, high in ((brightness, -0.5, 0.5), (contrast, 0.5, 1.5), (saturation, 0.0, 2.0)):
        assert low - 1e-4 <= values.min() < low + 0.02
        assert high - 0.02 < values.max() <= high + 1e-4
    pairs = torch.corrcoef(torch.stack([brightness, contrast, saturation]))
    assert (pairs - torch.eye(3)).abs().max() < 0.2  # each by draws of its own


def test_half_the_strength_changes_half_as_much() -> None:
    images = pictures(5)
    whole, half = (
        recolor(images, limits(5, s), Draws(0, "cpu")).mean((1, 2, 3)) - images.mean((1, 2, 3))
        for s in (1.0, 0.5)
    )
    assert torch.allclose(half, whole / 2, atol=1e-5)


def test_one_square_of_its_share_is_greyed_out_anywhere() -> None:
    images = torch.ones(500, 2, 16, 16)
    holes = cut_out(images, 0.5, limits(500, 1.0), Draws(0, "cpu")) == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    tall, wide = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(holes[:, 0].sum((1, 2)), tall * wide)  # a rectangle
    assert {tall.max().item(), wide.max().item()} == {8}
    assert tall.min() < 6  # part of it outside
    assert holes[:, 0].any(0).all()


@pytest.mark.parametrize("augment", [Augment(3, 0, 0), Augment(0, 1.0, 0), Augment(0, 0, 0.5)])
def test_the_probability_is_the_share_of_images_that_change(augment: Augment) -> None:
    images = pictures(400)
    for probability, low, high in ((0.0, 0, 0), (0.5, 0.35, 0.55), (1.0, 0.85, 1), (None, 0.85, 1)):
        p = None if probability is None else torch.tensor(probability)
        moved = (augment(images, Draws(0, "cpu"), p) - images).abs().amax((1, 2, 3)) > 1e-5
        assert low <= moved.float().mean() <= high


def test_the_changes_are_the_same_whatever_the_number_of_processes() -> None:
    images, augment, p = pictures(8), Augment(2, 0.5, 0.5), torch.tensor(0.6)
    whole = augment(images, Draws(0, "cpu"), p)
    halves = [augment(images.chunk(2)[rank], Draws(0, "cpu", rank, 2), p) for rank in (0, 1)]
    assert torch.equal(torch.cat(halves), whole)


@pytest.mark.parametrize(
    ("sure", "start", "after"), [(1, 0.5, 0.7), (0.5, 0.5, 0.3), (1, 0.9, 1), (-1, 0.1, 0)]
)
def test_the_probability_moves_towards_the_target_and_stays_one(
    make_loop: MakeLoop, sure: float, start: float, after: float
) -> None:
    trainer = make_loop(augment_target=0.6, augment_adapt_images=40).trainer
    weight = next(trainer.discriminator.parameters())
    right = round((1 + sure) / 2 * 8)  # of 8 training images
    logits = torch.tensor([2.0] * right + [-0.1] * (8 - right))
    trainer.forward_d = lambda _images, _labels: logits + 0 * weight.sum()
    trainer.probability.fill_(start)
    images = torch.zeros(8, 1, 32, 32)
    trainer.update_discriminator(images, images, None, False)
    assert trainer.probability.item() == pytest.approx(after)


def test_the_probability_is_that_of_the_changes_and_stands_in_the_log(make_loop: MakeLoop) -> None:
    loop = make_loop(augment_target=0.6, augment_adapt_images=40, augment_shift=3)
    images = torch.rand(8, 1, 32, 32)
    seen: list[torch.Tensor] = []

    def look(batch: torch.Tensor, _labels: torch.Tensor | None) -> torch.Tensor:
        seen.append(batch)
        return batch.mean((1, 2, 3))

    loop.trainer.forward_d = look
    for probability in (0.0, 1.0):
        loop.trainer.probability.fill_(probability)
        loop.trainer.judge(images, None)
    assert torch.allclose(seen[0], images, atol=1e-6)
    assert not torch.allclose(seen[1], images, atol=1e-2)
    loop = make_loop("whole", augment_target=0.01, augment_adapt_images=40)
    loop.run(lambda *_: None)
    assert loop.log[-1][-1] == loop.trainer.probability
    assert 0 < max(row[-1] for row in loop.log) <= 1
    fixed = make_loop("fixed")
    fixed.run(lambda *_: None)
    assert {row[-1] for row in fixed.log} == {1.0}
