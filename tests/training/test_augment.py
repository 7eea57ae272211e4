"""Differentiable augmentation: shifts, nothing else, and gradients that follow them."""

import torch

from gan.training.augment import translate


def test_every_image_is_shifted_within_the_limit_and_the_edge_is_filled() -> None:
    images = torch.full((200, 2, 9, 9), -1.0)
    images[:, 0, 4, 4], images[:, 1, 4, 4] = 1.0, 0.5
    moved = translate(images, 3, torch.Generator().manual_seed(0))
    places = (moved[:, 0] == 1).nonzero()
    assert len(places) == 200
    assert set(map(tuple, (places[:, 1:] - 4).tolist())) == {
        (y, x) for y in range(-3, 4) for x in range(-3, 4)
    }
    assert torch.equal(moved[:, 1] == 0.5, moved[:, 0] == 1)
    assert (moved == -1).sum() == 200 * 2 * 80


def test_what_leaves_is_gone_and_gradients_come_back_to_where_they_came_from() -> None:
    images = torch.ones(50, 1, 8, 8, requires_grad=True)
    moved = translate(images, 2, torch.Generator().manual_seed(0))
    assert moved.min() == -1
    moved.clamp(min=0).sum().backward()
    assert images.grad is not None
    assert images.grad.sum() == (moved == 1).sum()


def test_no_limit_is_no_change() -> None:
    images = torch.randn(2, 3, 8, 8)
    assert translate(images, 0, torch.Generator()) is images
