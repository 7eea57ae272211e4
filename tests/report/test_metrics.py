"""Metrics in words and pictures, and the sentence that sums them up."""

from typing import Any

import pytest

from gan.report.metrics import METRICS, interval, metric_rows
from gan.report.verdict import verdict
from tests.report.run import metrics


def test_each_metric_has_its_row_in_its_group() -> None:
    rows = metric_rows(metrics())
    assert [row["key"] for row in rows] == [metric.key for metric in METRICS]
    groups = [row["group"] for row in rows]
    assert groups == sorted(groups, key=groups.index)  # none is split in two
    recall = next(row for row in rows if row["key"] == "recall")
    assert (recall["figure"], recall["interval"], recall["floor"], recall["n"]) == (
        "0.6",
        "0.55 to 0.7",
        "0.9",
        "359",
    )
    assert next(row for row in rows if row["key"] == "memorised")["n"] == ""


def test_an_interval_is_the_metrics_own_or_made_of_its_deviation() -> None:
    assert interval({"a": 1.0, "a_sd": 0.1, "a_low": 0.7, "a_high": 1.1}, "a") == (0.7, 1.1)
    assert interval({"a": 1.0, "a_sd": 0.1}, "a") == pytest.approx((0.804, 1.196))
    assert interval({"a": 1.0, "a_low": 0.7}, "a") is None
    assert [
        row["key"] for row in metric_rows({"n": 5, "recall": None, "precision": 0.5, "fd_texture": True})
    ] == ["precision"]


@pytest.mark.parametrize(
    "found",
    [
        {"recall": 0.6, "recall_low": 0.5, "recall_high": 0.7, "recall_floor": 0.9},
        {"recall": 1.0, "recall_low": 0.99, "recall_high": 1.0, "recall_floor": 1.0},
        {"fd_semantic": 4.0, "fd_semantic_low": 2.0, "fd_semantic_high": 6.0, "fd_semantic_floor": 1.7},
        {
            "kd_semantic": -0.01,
            "kd_semantic_low": -0.04,
            "kd_semantic_high": 0.02,
            "kd_semantic_floor": -0.05,
        },
        {"kd_semantic": 0.0, "kd_semantic_low": 0.0, "kd_semantic_high": 0.0, "kd_semantic_floor": 0.0},
        {"density": 1.4, "density_low": 1.3, "density_high": 1.5, "density_floor": 1.0},
        {"duplicates": 0.0},
    ],
)
def test_what_is_drawn_lies_on_the_axis_in_order(found: dict[str, Any]) -> None:
    (row,) = metric_rows(found)
    drawn = row["picture"]
    places = [drawn[key] for key in ("zero", "low", "value", "high", "floor") if drawn[key] is not None]
    assert all(2 <= place <= 98 for place in places)
    assert drawn["low"] <= drawn["value"] <= drawn["high"]
    key = row["key"]
    if f"{key}_floor" in found and found[key] != found[f"{key}_floor"]:
        assert (drawn["floor"] > drawn["value"]) == (found[f"{key}_floor"] > found[key])


GOOD = {"precision": 0.9, "precision_sd": 0.02, "precision_floor": 0.91, "recall": 0.86, "recall_floor": 0.9}
FAILED = [{"name": "x"}]


@pytest.mark.parametrize(
    ("changes", "failed", "words"),
    [
        (
            {},
            [],
            "As good as all samples look real, and they show nearly all of the variety of real images.",
        ),
        (
            {"precision": 0.80, "recall": 0.5},
            [],
            "Most samples look real, and some of the variety of real images is missing.",
        ),
        (
            {
                "precision": 0.2,
                "recall": 0.01,
                "memorised": 0.0,
                "memorised_low": 0.0,
                "memorised_high": 0.01,
            },
            FAILED,
            "Few samples look real, they do not repeat training images, and most of the variety of real "
            "images is missing. 1 expectation of the data fails.",
        ),
        (
            {
                "memorised": 0.2,
                "memorised_low": 0.15,
                "memorised_high": 0.3,
                "memorised_floor": 0.01,
                "recall": 0.95,
            },
            FAILED * 2,
            "As good as all samples look real, 20 % of them repeat a training image, and they are as varied "
            "as real images. 2 expectations of the data fail.",
        ),
        (
            {"memorised": 0.012, "memorised_low": 0.004, "memorised_high": 0.03, "memorised_floor": 0.01},
            [],
            "As good as all samples look real, they do not repeat training images, and they show nearly all "
            "of the variety of real images.",
        ),
    ],
)
def test_the_verdict(changes: dict[str, float], failed: list[Any], words: str) -> None:
    assert verdict({**GOOD, **changes}, failed) == words


def test_a_verdict_of_nothing() -> None:
    assert verdict({"n": 5}, []) == "No metric was measured that tells how good it is."
