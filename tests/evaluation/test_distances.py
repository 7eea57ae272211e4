"""Distances out of float32 products are exact wherever it matters."""

import pytest
import torch

from gan.evaluation import distances
from gan.evaluation.distances import Points


def points(count: int, d: int, seed: int, offset: float = 0.0) -> torch.Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(seed)) + offset


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_nearest_are_those_of_float64(monkeypatch: pytest.MonkeyPatch, offset: float) -> None:
    monkeypatch.setattr(distances, "CHUNK", 17)
    a, b = points(90, 40, 0, offset), points(70, 40, 1, offset)
    b[7] = b[3]  # equal rows: the first comes first
    found = distances.nearest(*(Points.of(x, b.mean(0)) for x in (a, b)), 5)
    centred = [(x - b.mean(0)).double() for x in (a, b)]
    exact = (centred[0][:, None] - centred[1][None]).norm(dim=2)
    order = exact.argsort(dim=1, stable=True)[:, :5]
    assert torch.equal(found.rows, order)
    assert torch.equal(found.distances, exact.gather(1, order))


def test_a_row_is_not_its_own_neighbour_but_its_copy_is() -> None:
    a = points(50, 8, 0)
    a[20] = a[10]
    every = Points.of(a, a.mean(0))
    found = distances.nearest(every, every, 1, same=True)
    assert (found.rows[:, 0] != torch.arange(50)).all()
    assert found.rows[10, 0] == 20
    assert found.distances[10, 0] == 0


def test_fewer_rows_than_neighbours() -> None:
    few = Points.of(points(4, 3, 0), torch.zeros(3))
    assert distances.nearest(few, few, 7, same=True).rows.shape == (4, 3)


def test_a_pair_on_the_very_edge_is_within() -> None:
    """The radius is that pair's own distance: float32 alone would call about half of them outside."""
    a, b = (Points.of(points(60, 30, seed), torch.zeros(30)) for seed in (0, 1))
    exact = (a.rows[:, None].double() - b.rows[None].double()).norm(dim=2)
    for column in range(20):
        radii = exact[:, column : column + 1]
        for part, squared in distances.blocks(a, b):
            assert torch.equal(distances.within(squared, a, b, part, radii[part]), exact[part] <= radii[part])
            smaller = radii[part] * (1 - 1e-12)
            assert not distances.within(squared.clone(), a, b, part, smaller)[:, column].any()


def test_lower_precision_does_not_leak_in() -> None:
    a, b = (Points.of(points(40, 64, seed), torch.zeros(64)) for seed in (0, 1))
    plain = [block.clone() for _, block in distances.blocks(a, b)]
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = [block.clone() for _, block in distances.blocks(a, b)]
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert all(torch.equal(x, y) for x, y in zip(plain, found, strict=True))
