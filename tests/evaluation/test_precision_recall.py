"""Precision, recall, density, coverage: as prdc counts them, and as their definitions say."""

import numpy as np
import prdc
import pytest
import torch

from gan.evaluation import intervals, nearest_neighbours, precision_recall

NAMES = ("precision", "recall", "density", "coverage")


def normal(count: int, dimensions: int, seed: int, mean: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimensions, generator=rng) * scale + mean


def figures(real: torch.Tensor, fake: torch.Tensor, k: int = 3) -> list[float]:
    result = precision_recall.compare(real, fake, k)
    return [getattr(result, name) for name in NAMES]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_they_are_those_of_prdc(k: int) -> None:
    real, fake = normal(300, 16, 0), normal(260, 16, 1, mean=0.2, scale=0.9)
    theirs = prdc.compute_prdc(real.double().numpy(), fake.double().numpy(), k)
    assert dict(zip(NAMES, figures(real, fake, k), strict=True)) == pytest.approx(theirs, abs=1e-12)


def test_precision_and_recall_are_their_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_neighbours, "CHUNK", 17)  # the result must not depend on the chunks
    real, fake, k = normal(60, 4, 0).double(), normal(50, 4, 1, mean=0.7).double(), 3

    def covered(points: torch.Tensor, centres: torch.Tensor) -> float:
        radii = [sorted(float((c - o).norm()) for o in centres)[k] for c in centres]
        inside = [
            any(float((p - c).norm()) <= r for c, r in zip(centres, radii, strict=True)) for p in points
        ]
        return sum(inside) / len(inside)

    expected = covered(fake, real), covered(real, fake)
    assert figures(real, fake, k)[:2] == pytest.approx(expected)


def test_precision_falls_with_noise_and_recall_with_lost_variety() -> None:
    real, same = normal(400, 8, 0), normal(400, 8, 1)
    precision, recall, density, coverage = figures(real, same)
    assert min(precision, recall, coverage) > 0.7
    assert density == pytest.approx(1, abs=0.2)
    noisy = figures(real, same * 4)
    assert noisy[0] < 0.1
    assert noisy[2] < 0.1
    narrow = figures(real, same * 0.1)
    assert narrow[1] < 0.1 < narrow[0]
    assert narrow[3] < 0.5


def test_equal_sets_and_repeated_rows_are_covered_wholly() -> None:
    """A ball of no width still holds its own centre."""
    real = normal(80, 8, 0).repeat(5, 1)
    assert figures(real, real.flip(0)) == pytest.approx([1, 1, 5 / 3, 1])


def test_they_vary_as_the_subsampling_says_and_more_than_a_coin() -> None:
    def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        return normal(240, 6, 2 * seed), normal(240, 6, 2 * seed + 1, mean=0.3, scale=0.9)

    drawn = np.array([figures(*pair(seed)) for seed in range(80)])
    deviations = []
    for seed in range(8):
        real, fake = pair(seed)
        rng = torch.Generator().manual_seed(seed)

        def statistic(a: torch.Tensor, b: torch.Tensor, real: torch.Tensor = real, fake: torch.Tensor = fake):
            return figures(real[a], fake[b])

        deviations.append(intervals.subsample(statistic, (240, 240), rng))
    assert np.mean(deviations, 0) == pytest.approx(drawn.std(0), rel=0.35)
    share = drawn.mean(0)[3]
    assert drawn.std(0)[3] > 1.15 * (share * (1 - share) / 240) ** 0.5
