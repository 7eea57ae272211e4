"""The kernel distance against its definition, and how honest the interval of a difference is."""

import pytest
import torch

from gan.evaluation import kernel_distance


def draw(seed: int, n: int, d: int = 8, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_definition(x: torch.Tensor, y: torch.Tensor) -> float:
    """Gretton 2012, equation 3 (the unbiased estimate), with loops."""

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    def within(z: torch.Tensor) -> float:
        pairs = [k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
        return sum(pairs) / len(pairs)

    across = [k(a, b) for a in x for b in y]
    return within(x) + within(y) - 2 * sum(across) / len(across)


@pytest.mark.parametrize("sizes", [(12, 9, 15), (50, 30, 41), (3, 3, 3)])
def test_is_its_definition(sizes: tuple[int, int, int]) -> None:
    real, ours, theirs = (draw(i, n, 4, 0.3 * i) for i, n in enumerate(sizes))
    result = kernel_distance.compare(real, ours, theirs, rng())
    assert result["candidate"] == pytest.approx(by_definition(real, ours), rel=1e-9)
    assert result["champion"] == pytest.approx(by_definition(real, theirs), rel=1e-9)
    assert result["difference"] == pytest.approx(result["candidate"] - result["champion"], abs=1e-12)
    assert all(result[f"{name}_sd"] > 0 for name in ("candidate", "champion", "difference"))


def test_real_images_score_zero_on_average_and_a_shift_more() -> None:
    scores = [
        kernel_distance.compare(draw(3 * i, 60), draw(3 * i + 1, 90), draw(3 * i + 2, 60, shift=0.5), rng())
        for i in range(40)
    ]
    distances = torch.tensor([score["candidate"] for score in scores])
    assert abs(float(distances.mean())) < 3 * float(distances.std()) / len(scores) ** 0.5
    assert all(score["difference"] < 0 for score in scores)


@pytest.mark.slow
def test_equal_models_are_rarely_called_different() -> None:
    """Two models equally far off: beyond 1.96 sd in about one case of twenty; here at most one of ten."""
    beyond = 0
    for i in range(150):
        direction = torch.ones(8, dtype=torch.float64).mul_(0.15)
        direction[::2] *= -1
        real, ours, theirs = (draw(1000 + 3 * i + j, n) for j, n in enumerate((120, 200, 200)))
        result = kernel_distance.compare(real, ours + direction, theirs - direction, rng(i))
        beyond += abs(result["difference"]) > 1.96 * result["difference_sd"]
    assert beyond <= 15


def test_what_both_share_does_not_widen_the_difference() -> None:
    """Both are held against the same real images: the difference is surer than its parts together."""
    result = kernel_distance.compare(draw(0, 40), draw(1, 2000, shift=0.4), draw(2, 2000, shift=0.45), rng())
    assert result["difference_sd"] < (result["candidate_sd"] ** 2 + result["champion_sd"] ** 2) ** 0.5


def test_is_that_of_torch_fidelity() -> None:
    from torch_fidelity import metric_kid

    a, b = draw(0, 120, 16), draw(1, 120, 16, 0.2)
    theirs = metric_kid.kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=120, verbose=False)
    value, sd, floor = kernel_distance.kernel_distance(a, b, draw(2, 100, 16), rng())
    assert value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert value - 2 * sd > floor
    assert sd == pytest.approx(
        kernel_distance.compare(a, b, a, rng())["candidate_sd"], rel=0.3
    )  # other groups
