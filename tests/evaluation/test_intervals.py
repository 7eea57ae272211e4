"""Intervals hold the truth about as often as they say."""

import numpy as np
import pytest
import torch

from gan.evaluation import feature_metrics, intervals


def test_wilson_holds_a_share_19_times_of_20() -> None:
    rng = np.random.default_rng(0)
    for true in (0.02, 0.3, 0.95):
        counts = rng.binomial(100, true, 2000)
        held = np.mean(
            [low <= true <= high for low, high in (intervals.wilson(c / 100, 100) for c in counts)]
        )
        assert 0.92 < held < 0.985


def test_wilson_is_a_known_interval_and_right_at_its_ends() -> None:
    assert intervals.wilson(0.5, 10) == pytest.approx((0.23659, 0.76341), abs=1e-5)
    assert intervals.wilson(0.0, 20) == pytest.approx((0.0, 0.16113), abs=1e-5)
    assert intervals.wilson(1.0, 20) == pytest.approx((0.83887, 1.0), abs=1e-5)


def test_rows_that_depend_on_one_another_widen_wilson() -> None:
    coin = (0.3 * 0.7 / 100) ** 0.5
    assert intervals.wilson(0.3, 100, coin / 2) == intervals.wilson(0.3, 100)  # never narrower than a coin's
    assert intervals.wilson(0.3, 100, 2 * coin) == pytest.approx(intervals.wilson(0.3, 25))


@pytest.mark.parametrize("method", [intervals.jackknife, intervals.subsample])
def test_the_spread_of_a_difference_of_means(method) -> None:
    rng = torch.Generator().manual_seed(0)
    deviations = []
    for _ in range(20):
        a, b = torch.randn(400, generator=rng), 2 * torch.randn(200, generator=rng)
        deviations += method(lambda i, j, a=a, b=b: [float(a[i].mean() - b[j].mean())], (400, 200), rng)
    assert np.mean(deviations) == pytest.approx((1 / 400 + 4 / 200) ** 0.5, rel=0.15)


def test_the_interval_of_infinity_holds_it() -> None:
    true, held = 8 * 0.5**2, 0
    for seed in range(12):
        rng = torch.Generator().manual_seed(seed)
        a, b = torch.randn(200, 8, generator=rng), torch.randn(200, 8, generator=rng) + 0.5
        (sd,) = intervals.jackknife(
            lambda i, j, a=a, b=b: [feature_metrics.frechet_infinity(a[i], b[j])], (200, 200), rng
        )
        low, high = intervals.normal(feature_metrics.frechet_infinity(a, b), sd)
        held += low <= true <= high
    assert held >= 10
