"""Distances out of float32 products are exact wherever it matters."""

import pytest
import torch

from gan.evaluation import nearest_neighbours
from gan.evaluation.nearest_neighbours import Points


def points(count: int, d: int, seed: int, offset: float = 0.0) -> torch.Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed)) + offset


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_nearest_are_those_of_float64(monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
    monkeypatch.setattr(nearest_neighbours, "CHUNK", 17)
    a, b = points(90, 40, 0, offset), points(70, 40, 1, offset)
    b[7] = b[3]  # equal rows: the first comes first
    result = nearest_neighbours.nearest(*(Points.of(x, b.mean(0)) for x in (a, b)), 5)
    centred = [(x - b.mean(0)).double() for x in (a, b)]
    exact = (centred[0][:, None] - centred[1][None]).norm(dim=2)
    order = exact.argsort(dim=1, stable=True)[:, :5]
    assert torch.equal(result.rows, order)
    assert torch.equal(result.distances, exact.gather(1, order))


def test_a_row_is_not_its_own_neighbour_but_its_copy_is() -> None:
    a = points(50, 8, 0)
    a[20] = a[10]
    every = Points.of(a, a.mean(0))
    result = nearest_neighbours.nearest(every, every, 1, same=True)
    assert (result.rows[:, 0] != torch.arange(50)).all()
    assert result.rows[10, 0] == 20
    assert result.distances[10, 0] == 0


def test_fewer_rows_than_neighbours() -> None:
    few = Points.of(points(4, 3, 0), torch.zeros(3))
    assert nearest_neighbours.nearest(few, few, 7, same=True).rows.shape == (4, 3)


def test_a_pair_on_the_very_edge_is_within() -> None:
    """The radius is that pair's own distance: float32 alone would call about half of them outside."""
    a, b = (Points.of(points(60, 30, seed), torch.zeros(30)) for seed in (0, 1))
    exact = (a.rows[:, None].double() - b.rows[None].double()).norm(dim=2)
    for column in range(20):
        radii = exact[:, column : column + 1]
        for chunk in nearest_neighbours.chunks(a):
            squared = nearest_neighbours.block(a, b, chunk)
            assert torch.equal(
                nearest_neighbours.within(squared, a, b, chunk, radii[chunk]), exact[chunk] <= radii[chunk]
            )
            smaller = radii[chunk] * (1 - 1e-12)
            assert not nearest_neighbours.within(squared.clone(), a, b, chunk, smaller)[:, column].any()


def test_lower_precision_does_not_leak_in() -> None:
    a, b = (Points.of(points(40, 64, seed), torch.zeros(64)) for seed in (0, 1))
    plain = [nearest_neighbours.block(a, b, chunk) for chunk in nearest_neighbours.chunks(a)]
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result = [nearest_neighbours.block(a, b, chunk) for chunk in nearest_neighbours.chunks(a)]
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert all(torch.equal(x, y) for x, y in zip(plain, result, strict=True))
