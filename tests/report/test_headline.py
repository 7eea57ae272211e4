"""The first sentences of the report, of figures as they were measured."""

from typing import Any

import pytest

from gan.report.headline import LAST, RUNGS, details, realism, verdict, warnings


def measured(semantic: float, texture: float, **figures: float) -> dict[str, Any]:
    """Return metrics of the digits: Fréchet distances beside those of as many real images, and others."""
    return {
        "n": 359,
        "fd_semantic": semantic,
        "fd_semantic_floor": 1.8,
        "fd_semantic_scale": 128,
        "fd_texture": texture,
        "fd_texture_floor": 0.9,
        "fd_texture_scale": 72,
        "coverage": 0.8,
        "coverage_floor": 0.88,
        "precision": 0.93,
        "precision_floor": 0.8,
        **figures,
    }


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        (measured(2.4, 0.9, two_sample_accuracy=0.51), "The samples can hardly be told from real images."),
        (measured(2.4, 0.9, two_sample_accuracy=0.7), f"{RUNGS[0][1]}."),
        (measured(2.4, 0.9, two_sample_accuracy=0.9), f"{RUNGS[1][1]}."),
        (measured(4.25, 2.4), f"{RUNGS[0][1]}."),
        (measured(15.0, 5.0), f"{RUNGS[1][1]}."),
        (measured(2.8, 20.0), f"{RUNGS[1][1]}."),
        (measured(2.8, 30.0), f"{RUNGS[2][1]}."),
        (measured(36.0, 9.0), f"{RUNGS[2][1]}."),
        (measured(66.0, 9.0), f"{LAST}."),
        (measured(5.0, 142.0, precision=0.99), f"{LAST}."),
    ],
)
def test_the_verdict_follows_both_distances_and_never_precision(
    metrics: dict[str, Any], sentence: str
) -> None:
    assert verdict(metrics) == sentence
    assert verdict({**metrics, "precision": 0.01}) == sentence


def test_few_images_are_not_judged() -> None:
    few = {**measured(2.4, 0.9), "n": 30}
    assert verdict(few) == "30 held-out images are too few to judge the samples: 100 are needed."
    assert details(few) == []


REPEATS = "Most samples nearly repeat another sample."
COPIES = "Most samples repeat a training image."
PART = "The samples look like real images, but only like a part of them."
ALIKE = "The samples can hardly be told from real images."


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        (measured(2.4, 0.9, two_sample_accuracy=0.51, duplicates=1.0), REPEATS),
        (measured(60.0, 9.0, two_sample_accuracy=0.9, duplicates=1.0), REPEATS),
        (measured(132.0, 9.0, two_sample_accuracy=0.9, duplicates=1.0), f"{LAST}."),
        (measured(2.4, 0.9, two_sample_accuracy=0.51, memorised=0.9, memorised_floor=0.01), COPIES),
        (measured(2.4, 0.9, two_sample_accuracy=0.51, memorised=0.9, memorised_floor=0.95), ALIKE),
        (measured(15.0, 5.0, two_sample_accuracy=0.65, coverage=0.6, density=0.9, density_floor=1.0), PART),
        (measured(2.4, 0.9, two_sample_accuracy=0.65, coverage=0.3, density=0.9, density_floor=1.0), PART),
        (
            measured(15.0, 5.0, two_sample_accuracy=0.65, coverage=0.6, density=0.5, density_floor=1.0),
            f"{RUNGS[1][1]}.",
        ),
        (
            measured(15.0, 5.0, two_sample_accuracy=0.95, coverage=0.6, density=0.9, density_floor=1.0),
            f"{RUNGS[1][1]}.",
        ),
        (measured(2.4, 0.9, two_sample_accuracy=0.51, two_sample_accuracy_floor=0.5), ALIKE),
        (
            measured(2.4, 0.9, two_sample_accuracy=0.51, two_sample_accuracy_floor=0.8),
            "The samples cannot be judged: held-out images are of another kind than training images.",
        ),
    ],
)
def test_repeats_copies_and_what_is_missing_come_before_praise(
    metrics: dict[str, Any], sentence: str
) -> None:
    assert verdict(metrics) == sentence


def test_a_verdict_of_nothing() -> None:
    assert verdict({"n": 500}) == "No metric was measured that tells how good the samples are."
    assert realism({"n": 500, "fd_semantic": 3.0}) is None


def test_the_scale_of_the_features_does_not_matter() -> None:
    metrics = measured(15.0, 5.0)
    inception = {key: value * 1.7 if key.startswith("fd_") else value for key, value in metrics.items()}
    assert realism(inception) == pytest.approx(realism(metrics))


def test_the_details() -> None:
    figures = {
        "two_sample_accuracy": 0.9,
        "two_sample_accuracy_low": 0.87,
        "two_sample_accuracy_high": 0.92,
        "memorised": 0.2,
        "memorised_low": 0.15,
        "memorised_high": 0.3,
        "memorised_floor": 0.01,
        "duplicates": 0.82,
        "duplicates_floor": 0.01,
    }
    assert details(measured(4.0, 2.0, **figures)) == [
        "A simple classifier tells them from real images in 90 % of cases (87 to 92 %; 50 % is chance).",
        "They are as varied as real images.",
        "20 % of them repeat a training image.",
        "82 % of them nearly repeat another sample.",
    ]
    chance = {"memorised": 0.012, "memorised_low": 0.004, "memorised_high": 0.03, "memorised_floor": 0.01}
    assert "They do not repeat training images." in details(measured(4.0, 2.0, **chance))
    assert "They cover part of the variety of real images." in details(measured(4.0, 2.0, coverage=0.6))
    assert "They cover little of the variety of real images." in details(measured(4.0, 2.0, coverage=0.1))


def test_what_is_no_image_has_neither_variety_nor_copies() -> None:
    noise = measured(174.0, 3180.0, memorised=0.0, memorised_low=0.0, memorised_high=0.01)
    assert details(noise) == []


@pytest.mark.parametrize(
    ("held", "sentences"),
    [
        ([True], []),
        ([True, False], ["1 warning about the data."]),
        ([False] * 2, ["2 warnings about the data."]),
    ],
)
def test_warnings_about_the_data(held: list[bool], sentences: list[str]) -> None:
    assert warnings([{"success": success} for success in held]) == sentences
