"""Metrics against closed forms, against plain definitions, and moving the way they should."""

import numpy as np
import pytest
import scipy.linalg
import torch

from gan.evaluation import metrics


def normal(count: int, dimensions: int, seed: int, mean: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimensions, generator=rng) * scale + mean


def test_frechet_distance_is_the_matrix_square_root_formula() -> None:
    mixing = normal(6, 6, 0)
    a, b = normal(300, 6, 1) @ mixing, normal(200, 6, 2, mean=0.5, scale=1.5)
    mean_a, mean_b = (x.double().mean(0).numpy() for x in (a, b))
    cov_a, cov_b = (np.cov(x.double().numpy(), rowvar=False) for x in (a, b))
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_has_its_closed_form_in_one_dimension() -> None:
    a = torch.tensor([[-1.0], [1.0]])
    b = torch.tensor([[1.0], [5.0]])  # standard deviations 2**.5 and 8**.5, means 0 and 3
    assert metrics.frechet_distance(a, b) == pytest.approx(9 + (8**0.5 - 2**0.5) ** 2)


def test_frechet_distance_is_zero_of_itself_even_when_singular() -> None:
    few = normal(10, 64, 0)  # fewer rows than columns
    assert metrics.frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_varies_as_its_jackknife_says() -> None:
    def distance(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        return normal(400, 8, 2 * seed), normal(400, 8, 2 * seed + 1, mean=0.4)

    drawn = torch.tensor([metrics.frechet_distance(*distance(seed)) for seed in range(200)]).std()
    rng = torch.Generator().manual_seed(0)
    told = [metrics.frechet_distance_sd(*distance(seed), rng) for seed in range(10)]
    assert np.mean(told) == pytest.approx(float(drawn), rel=0.3)


def test_a_share_varies_as_a_coin() -> None:
    assert metrics.share_sd(0.5, 100) == pytest.approx(0.05)
    assert metrics.share_sd(1.0, 100) == 0


def test_standardise_by_the_reference() -> None:
    reference = normal(500, 3, 0, mean=5, scale=2)
    reference[:, 2] = 7  # constant: only centred
    other = reference + 1
    ours, moved = metrics.standardise(reference, other)
    assert torch.allclose(ours.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(ours[:, :2].std(0), torch.ones(2, dtype=torch.float64))
    assert torch.allclose((moved - ours)[:, 2], torch.ones(500, dtype=torch.float64))


def test_precision_and_recall_are_their_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK", 17)  # the result must not depend on the chunks
    real, fake, k = normal(60, 4, 0).double(), normal(50, 4, 1, mean=0.7).double(), 3

    def covered(points: torch.Tensor, centres: torch.Tensor) -> float:
        radii = [sorted(float((c - o).norm()) for o in centres)[k] for c in centres]
        inside = [
            any(float((p - c).norm()) <= r for c, r in zip(centres, radii, strict=True)) for p in points
        ]
        return sum(inside) / len(inside)

    expected = covered(fake, real), covered(real, fake)
    assert metrics.precision_recall(real, fake, k) == pytest.approx(expected)


def test_precision_falls_with_noise_and_recall_with_lost_variety() -> None:
    real, same = normal(400, 8, 0), normal(400, 8, 1)
    precision, recall = metrics.precision_recall(real, same, 3)
    assert min(precision, recall) > 0.7
    assert metrics.precision_recall(real, same * 4, 3)[0] < 0.1
    narrow = metrics.precision_recall(real, same * 0.1, 3)
    assert narrow[1] < 0.1 < narrow[0]


def test_jensen_shannon_has_its_bounds_and_a_known_value() -> None:
    half, other = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double()
    assert metrics.jensen_shannon(half, half) == 0
    assert metrics.jensen_shannon(half, other) == pytest.approx(1)
    p, q = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.5, 0.5]).double()
    assert metrics.jensen_shannon(p, q) == pytest.approx(0.311278, abs=1e-6)


def test_histogram_counts_absent_classes_too() -> None:
    assert metrics.histogram(torch.tensor([0, 0, 2, 2]), 4).tolist() == [0.5, 0, 0.5, 0]
