"""Random numbers and batches: by seed and step alone, the same whatever the number of processes."""

from itertools import chain

import pytest
import torch

from gan.training.distributed import World
from gan.training.draws import Draws
from gan.training.feed import Feed

IMAGES = torch.arange(25, dtype=torch.uint8).reshape(25, 1, 1, 1).expand(25, 1, 2, 2)
LABELS = torch.arange(25) * 10


def feed(
    rank: int = 0, size: int = 1, *, d_steps: int = 1, seed: int = 0, resident: bool | None = None
) -> Feed:
    world = World(rank, size)
    return Feed(IMAGES, LABELS, (d_steps, 6), seed=seed, device="cpu", world=world, resident=resident)


def numbers(batch: tuple[torch.Tensor, torch.Tensor | None]) -> list[int]:
    return batch[0][:, 0, 0, 0].tolist()


def chunks(rows: list[int], count: int) -> list[list[int]]:
    size = len(rows) // count
    return [rows[i * size : (i + 1) * size] for i in range(count)]


def epoch(source: Feed, index: int) -> list[int]:
    return [number for step in range(4) for number in numbers(source.batch(4 * index + step))]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_the_processes_rows_make_up_the_draw_of_one(kind: str, size: int) -> None:
    def draw(draws: Draws, count: int) -> torch.Tensor:
        draws.begin("step", 7)
        return torch.cat([getattr(draws, kind)(count, 5) for _ in range(2)], 1)

    whole = draw(Draws(3, "cpu"), 12)
    assert whole.shape == (12, 10)
    assert torch.equal(torch.cat([draw(Draws(3, "cpu", i, size), 12 // size) for i in range(size)]), whole)


def test_draws_follow_seed_purpose_and_index_and_nothing_else() -> None:
    def draw(seed: int, purpose: str, index: int, before: int = 0) -> list[float]:
        draws = Draws(seed, "cpu")
        draws.normal(before + 1)
        draws.begin(purpose, index)
        return draws.uniform(4).tolist()

    kinds = [(0, "step", 0), (1, "step", 0), (0, "other", 0), (0, "step", 1)]
    assert len({tuple(draw(*kind)) for kind in kinds}) == 4
    assert draw(0, "step", 1) == draw(0, "step", 1, before=9)


def test_draws_have_their_distributions() -> None:
    draws = Draws(0, "cpu")
    normal, uniform = draws.normal(4000), draws.uniform(4000)
    assert normal.mean() == pytest.approx(0, abs=0.05)
    assert normal.std() == pytest.approx(1, abs=0.05)
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() < 1


@pytest.mark.parametrize("resident", [True, False])
def test_an_epoch_shows_each_image_at_most_once_and_the_next_in_another_order(resident: bool) -> None:
    source = feed(resident=resident)
    epochs = [epoch(source, index) for index in range(3)]
    assert all(len(set(seen)) == 24 for seen in epochs)
    assert len({tuple(seen) for seen in epochs}) == 3
    assert sorted(set().union(*epochs)) == list(range(25))  # none is left out for ever
    assert numbers(feed(seed=1).batch(0)) != epochs[0][:6]


def test_every_image_of_a_set_that_the_batches_fill_comes_once() -> None:
    whole = Feed(IMAGES[:24], None, (1, 6), seed=0, device="cpu", world=World())
    assert sorted(epoch(whole, 0)) == list(range(24))
    assert whole.batch(0)[1] is None


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("d_steps", [1, 2])
def test_the_processes_shares_make_up_each_batch_of_one(size: int, d_steps: int) -> None:
    for step in (0, 3, 4):
        whole = chunks(numbers(feed(d_steps=d_steps).batch(step)), d_steps)
        shares = [
            chunks(numbers(feed(rank, size, d_steps=d_steps).batch(step)), d_steps) for rank in range(size)
        ]
        assert {len(share) for share in chain(*shares)} == {6 // size}
        assert [list(chain(*shares_of_epoch)) for shares_of_epoch in zip(*shares, strict=True)] == whole


def test_more_updates_of_the_discriminator_see_more_images_in_the_same_order() -> None:
    for step in (0, 1):  # an epoch of 24 images; the next is in another order
        one = numbers(feed().batch(2 * step)) + numbers(feed().batch(2 * step + 1))
        assert numbers(feed(d_steps=2).batch(step)) == one


def test_gathering_ahead_gives_the_same_batches_also_after_a_jump() -> None:
    resident, ahead = feed(resident=True), feed(resident=False)
    assert ahead.ahead is not None
    assert resident.ahead is None
    for step in (0, 1, 2, 3, 4, 5, 9, 2, 3, 3, 0):
        for a, b in zip(resident.batch(step), ahead.batch(step), strict=True):
            assert a is not None
            assert b is not None
            assert torch.equal(a, b)


def test_the_next_batch_is_gathered_while_this_one_is_in_use() -> None:
    ahead = feed(resident=False)
    ahead.batch(4)
    assert ahead.ahead is not None
    assert ahead.ahead.next is not None
    step, future = ahead.ahead.next
    assert step == 5
    assert numbers(future.result()) == numbers(feed().batch(5))


@pytest.mark.parametrize("resident", [True, False])
def test_labels_travel_with_their_images(resident: bool) -> None:
    source = feed(resident=resident)
    for step in range(6):
        images, labels = source.batch(step)
        assert labels is not None
        assert labels.tolist() == [10 * number for number in numbers((images, None))]
