"""Metrics against closed forms, against plain definitions, and moving the way they should."""

import numpy as np
import pytest
import scipy.linalg
import torch

from gan.evaluation import feature_metrics


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
    assert feature_metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("rows_a", "rows_b"), [(60, 70), (10, 70), (60, 9), (10, 9)])
def test_frechet_distance_of_fewer_rows_than_features_is_the_formula(rows_a: int, rows_b: int) -> None:
    mixing = normal(24, 24, 0)
    a, b = normal(rows_a, 24, 1) @ mixing, normal(rows_b, 24, 2, mean=0.5, scale=1.5)
    mean_a, mean_b = (x.double().mean(0).numpy() for x in (a, b))
    cov_a, cov_b = (np.cov(x.double().numpy(), rowvar=False) for x in (a, b))
    eigenvalues = np.linalg.eigvals(cov_a @ cov_b).real.clip(0)  # SciPy's sqrtm is for regular matrices
    trace = np.trace(cov_a + cov_b) - 2 * np.sqrt(eigenvalues[eigenvalues > 1e-6]).sum()
    expected = ((mean_a - mean_b) ** 2).sum() + trace
    assert feature_metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_has_its_closed_form_in_one_dimension() -> None:
    a = torch.tensor([[-1.0], [1.0]])
    b = torch.tensor([[1.0], [5.0]])  # standard deviations 2**.5 and 8**.5, means 0 and 3
    assert feature_metrics.frechet_distance(a, b) == pytest.approx(9 + (8**0.5 - 2**0.5) ** 2)


def test_frechet_distance_is_zero_of_itself_even_when_singular() -> None:
    few = normal(10, 64, 0)  # fewer rows than columns
    assert feature_metrics.frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_varies_as_its_jackknife_says() -> None:
    def distance(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        return normal(400, 8, 2 * seed), normal(400, 8, 2 * seed + 1, mean=0.4)

    drawn = torch.tensor([feature_metrics.frechet_distance(*distance(seed)) for seed in range(200)]).std()
    rng = torch.Generator().manual_seed(0)
    deviations = [feature_metrics.frechet_distance_sd(*distance(seed), rng) for seed in range(10)]
    assert np.mean(deviations) == pytest.approx(float(drawn), rel=0.3)


def test_standardise_by_the_reference() -> None:
    reference = normal(500, 3, 0, mean=5, scale=2)
    reference[:, 2] = 7  # constant: only centred
    other = reference + 1
    ours, moved = feature_metrics.standardise(reference, other)
    assert torch.allclose(ours.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(ours[:, :2].std(0), torch.ones(2, dtype=torch.float64))
    assert torch.allclose((moved - ours)[:, 2], torch.ones(500, dtype=torch.float64))


def test_jensen_shannon_has_its_bounds_and_a_known_value() -> None:
    half, other = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double()
    assert feature_metrics.jensen_shannon(half, half) == 0
    assert feature_metrics.jensen_shannon(half, other) == pytest.approx(1)
    p, q = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.5, 0.5]).double()
    assert feature_metrics.jensen_shannon(p, q) == pytest.approx(0.311278, abs=1e-6)


def test_histogram_counts_absent_classes_too() -> None:
    assert feature_metrics.histogram(torch.tensor([0, 0, 2, 2]), 4).tolist() == [0.5, 0, 0.5, 0]


def test_distances_and_score_are_those_of_torch_fidelity() -> None:
    """On the same features: the published implementations print no digit that differs."""
    from torch_fidelity import metric_fid, metric_isc

    a, b = normal(600, 24, 0), normal(500, 24, 1, mean=0.2, scale=1.2)
    statistics = [metric_fid.fid_features_to_statistics(features) for features in (a, b)]
    theirs = metric_fid.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert feature_metrics.frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)
    logits = normal(300, 10, 2, scale=4)
    score = metric_isc.isc_features_to_metric(logits, splits=1)["inception_score_mean"]
    assert feature_metrics.class_score(logits) == pytest.approx(score, rel=1e-9)


def test_class_score_has_its_bounds() -> None:
    sure = torch.eye(5).repeat(20, 1) * 100
    assert feature_metrics.class_score(sure) == pytest.approx(5)
    assert feature_metrics.class_score(sure[:1].repeat(30, 1)) == pytest.approx(1)
    assert feature_metrics.class_score(torch.zeros(30, 5)) == pytest.approx(1)


def test_infinity_is_what_ever_more_rows_tend_to() -> None:
    """Two normal distributions whose distance is known; 400 rows overstate it by half of that again."""
    true = 16 * 0.4**2
    pairs = [(normal(400, 16, 2 * i), normal(400, 16, 2 * i + 1, mean=0.4)) for i in range(30)]
    biased = np.array([feature_metrics.frechet_distance(*pair) for pair in pairs])
    limits = np.array([feature_metrics.frechet_infinity(*pair) for pair in pairs])
    assert biased.mean() > true + 4 * biased.std() / 30**0.5
    assert abs(limits.mean() - true) < 3 * limits.std() / 30**0.5
    same = [feature_metrics.frechet_infinity(normal(400, 16, i), normal(400, 16, 99 - i)) for i in range(30)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 30**0.5  # real images: zero, not the floor at that n


def test_infinity_wants_rows_for_each_direction() -> None:
    assert feature_metrics.extrapolates(normal(400, 16, 0))
    assert not feature_metrics.extrapolates(normal(200, 16, 0))
    flat = normal(200, 16, 0) * torch.tensor([10.0, 10.0] + [0.01] * 14)  # two directions, in effect
    assert feature_metrics.extrapolates(flat)
    assert not feature_metrics.extrapolates(flat[:60])


def test_mode_coverage_counts_classes_that_come_half_as_often_as_they_should() -> None:
    real = torch.tensor([0.5, 0.3, 0.2, 0.0]).double()
    assert feature_metrics.mode_coverage(real, real) == 1
    assert feature_metrics.mode_coverage(real, torch.tensor([0.7, 0.15, 0.15, 0.0]).double()) == 1
    assert feature_metrics.mode_coverage(real, torch.tensor([0.9, 0.14, 0.0, 0.0]).double()) == pytest.approx(
        1 / 3
    )
