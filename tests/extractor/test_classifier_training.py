"""The extractor learns, with labels and without, and repeats."""

import torch

from gan import params
from gan.extractor.classifier_training import accuracy, train_extractor
from tests.conftest import DEFAULTS


def squares(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a bright bar at the top (class 0) or at the left (class 1)."""
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 100, (count, 1, 32, 32), generator=rng).to(torch.uint8)
    labels = torch.randint(0, 2, (count,), generator=rng)
    images[labels == 0, :, :8] += 150
    images[labels == 1, :, :, :8] += 150
    return images, labels


def settings() -> params.Extractor:
    default = params.load(DEFAULTS).extractor.model_dump()
    return params.Extractor.model_validate({**default, "steps": 30, "batch_size": 32})


def test_it_learns_labels() -> None:
    images, labels = squares(200, 0)
    model = train_extractor(images, labels, 2, settings(), "cpu", lambda *_: None)
    assert accuracy(model, *squares(100, 1), "cpu") > 0.95


def test_it_learns_which_way_up_without_labels() -> None:
    images, labels = squares(200, 0)
    upright = images[labels == 0]
    model = train_extractor(upright, None, 4, settings(), "cpu", lambda *_: None)
    assert accuracy(model, squares(200, 1)[0][squares(200, 1)[1] == 0], None, "cpu") > 0.9


def test_it_gives_the_same_weights_again() -> None:
    images, labels = squares(64, 0)
    a, b = (train_extractor(images, labels, 2, settings(), "cpu", lambda *_: None) for _ in range(2))
    assert all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_texture_features_see_a_checkerboard() -> None:
    images, labels = squares(200, 0)
    model = train_extractor(images, labels, 2, settings(), "cpu", lambda *_: None)
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 40
    with torch.no_grad():
        _, semantic, texture = model(images)
        _, semantic_after, texture_after = model((images + board).clamp(max=255))
    moved = [
        ((a - b).abs().mean(0) / (a.std(0) + 1e-6)).mean()
        for a, b in ((semantic, semantic_after), (texture, texture_after))
    ]
    assert moved[1] > moved[0]
