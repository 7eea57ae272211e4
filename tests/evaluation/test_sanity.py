"""Each way in which samples can be bad moves the figures that tell of it, monotonically, and hardly others.

Real digits that nobody has seen stand for perfect samples; then they are spoilt, more and more.
"""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from gan.evaluation import copies, feature_metrics, precision_recall
from gan.evaluation.feature_extraction import Features, extract
from tests.evaluation.conftest import Digits

Figures = dict[str, float]


def look(digits: Digits, images: torch.Tensor) -> Features:
    return extract(digits.extractor, images, "cpu")


@pytest.fixture(scope="module")
def known(digits: Digits) -> dict[str, Features]:
    return {name: look(digits, getattr(digits, name)) for name in ("train", "held_out")}


def measure(digits: Digits, known: dict[str, Features], images: torch.Tensor) -> Figures:
    """Return the figures of ``images`` as samples."""
    drawn, held_out, train = look(digits, images), known["held_out"], known["train"]
    figures: Figures = {}
    for kind in ("semantic", "texture"):
        real, fake = feature_metrics.standardise(getattr(held_out, kind), getattr(drawn, kind))
        figures[f"fd_{kind}"] = feature_metrics.frechet_distance(real, fake)
    near = precision_recall.compare(held_out.semantic, drawn.semantic, 3)
    figures |= {name: getattr(near, name) for name in ("precision", "recall", "density", "coverage")}
    real, fake = (
        feature_metrics.histogram(predicted, 10) for predicted in (digits.labels["held_out"], drawn.predicted)
    )
    figures["label_divergence"] = feature_metrics.jensen_shannon(real, fake)
    figures["mode_coverage"] = feature_metrics.mode_coverage(real, fake)
    figures["class_score"] = feature_metrics.class_score(drawn.logits)
    seen = copies.memorised(train.semantic, held_out.semantic, drawn.semantic, 3)
    sets = (digits.train, digits.held_out, images)
    pixels = copies.memorised(*(copies.pixels(some, torch.arange(len(some))) for some in sets), 3)
    figures["memorised"] = seen.flagged.double().mean().item()
    figures["memorised_pixels"] = pixels.flagged.double().mean().item()
    figures["authenticity"] = seen.authentic.double().mean().item()
    which, _ = copies.repeated(train.semantic[: len(images)], drawn.semantic)
    figures["duplicates"] = which.double().mean().item()
    return figures


def moves(steps: Sequence[Figures], key: str, up: bool, by: float) -> None:
    """Hold a figure to moving one way at every step, and by so much in all."""
    values = [step[key] for step in steps]
    assert all((b > a) == up for a, b in pairwise(values)), (key, values)
    assert abs(values[-1] - values[0]) >= by, (key, values)


def stays(steps: Sequence[Figures], key: str, within: float) -> None:
    values = [step[key] for step in steps]
    assert max(values) - min(values) <= within, (key, values)


def noisy(images: torch.Tensor, sd: float) -> torch.Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * sd
    return (images.float() + noise).clamp(0, 255).round().to(torch.uint8)


def blurred(images: torch.Tensor, times: int) -> torch.Tensor:
    smooth = images.float()
    for _ in range(times):
        smooth = F.avg_pool2d(F.pad(smooth, (1,) * 4, mode="replicate"), 3, 1)
    return smooth.round().to(torch.uint8)


def test_noise_moves_distances_up_and_precision_down(digits: Digits, known: dict[str, Features]) -> None:
    steps = [measure(digits, known, noisy(digits.fresh, sd)) for sd in (0, 20, 40, 80)]
    moves(steps, "fd_texture", up=True, by=10)
    moves(steps, "fd_semantic", up=True, by=10)
    moves(steps, "precision", up=False, by=0.3)
    moves(steps, "density", up=False, by=0.3)
    stays(steps, "duplicates", 0.02)
    stays(steps, "memorised", 0.02)


def test_blur_moves_texture_first(digits: Digits, known: dict[str, Features]) -> None:
    steps = [measure(digits, known, blurred(digits.fresh, times)) for times in (0, 2, 5, 10)]
    moves(steps, "fd_texture", up=True, by=5)
    moves(steps, "fd_semantic", up=True, by=1)
    ratios = [steps[1][key] / steps[0][key] for key in ("fd_texture", "fd_semantic")]
    assert ratios[0] > ratios[1]
    stays(steps[:2], "label_divergence", 0.01)  # one still sees which digit it is
    stays(steps, "memorised", 0.02)


def test_dropped_classes_move_coverage_and_histograms(digits: Digits, known: dict[str, Features]) -> None:
    label = digits.labels["fresh"]
    steps = []
    for dropped in (0, 2, 5):
        remaining = digits.fresh[label >= dropped]
        steps.append(measure(digits, known, remaining[:220]))  # the same n: small sets have larger distances
    moves(steps, "mode_coverage", up=False, by=0.49)
    moves(steps, "label_divergence", up=True, by=0.2)
    moves(steps, "recall", up=False, by=0.2)
    moves(steps, "coverage", up=False, by=0.2)
    moves(steps, "fd_semantic", up=True, by=5)
    moves(steps, "class_score", up=False, by=3)
    stays(steps, "precision", 0.1)  # what is there is as good as before
    stays(steps, "memorised", 0.02)
    stays(steps, "duplicates", 0.02)


def test_repeated_samples_move_duplicates_and_coverage(digits: Digits, known: dict[str, Features]) -> None:
    fresh = digits.fresh
    steps = []
    for distinct in (450, 300, 60, 15):
        repeats = [noisy(fresh[i % distinct][None], 2.0 * (i >= distinct)) for i in range(len(fresh))]
        steps.append(measure(digits, known, torch.cat(repeats)))
    values = [step["duplicates"] for step in steps]
    assert values[0] < 0.02
    assert values[1] == pytest.approx(2 / 3, abs=0.02)  # 150 twice
    assert min(values[2:]) > 0.99
    moves(steps, "coverage", up=False, by=0.5)
    moves(steps, "recall", up=False, by=0.5)
    moves(steps[1:], "fd_semantic", up=True, by=3)
    stays(steps, "memorised", 0.02)


def test_memorised_images_move_what_tells_of_copies_alone(digits: Digits, known: dict[str, Features]) -> None:
    shares = (0.0, 0.2, 0.5, 1.0)
    steps = []
    for share in shares:
        count = round(share * len(digits.fresh))
        steps.append(
            measure(digits, known, torch.cat([noisy(digits.train[:count], 2), digits.fresh[count:]]))
        )
    for key in ("memorised", "memorised_pixels"):
        moves(steps, key, up=True, by=0.95)
        assert [step[key] for step in steps] == pytest.approx(shares, abs=0.03)
    moves(steps, "authenticity", up=False, by=0.5)
    stays(steps, "precision", 0.1)  # copies are perfect images
    stays(steps, "recall", 0.1)
    stays(steps, "coverage", 0.1)
    stays(steps, "label_divergence", 0.01)
    stays(steps, "duplicates", 0.02)
    assert steps[-1]["fd_semantic"] < 1.5 * steps[0]["fd_semantic"]
