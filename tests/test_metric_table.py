"""Metrics in words and pictures, and the sentence that sums them up."""

import re
from typing import Any

import pytest

from gan.metric_table import METRICS, interval, metric_rows
from tests.conftest import ROOT
from tests.report.run import metrics

KEY = re.compile(r"`([a-z_…]+)`")
RECALL = {"recall": 0.61, "recall_low": 0.56, "recall_high": 0.71, "recall_floor": 0.9}


def test_the_docs_explain_each_metric() -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    table = {key for line in text.splitlines() if line.startswith("| `") for key in KEY.findall(line)}
    infinity = "_infinity"  # a row of its own, `…_infinity`
    missing = {metric.key for metric in METRICS if not metric.key.endswith(infinity)} - table
    assert not missing
    assert f"…{infinity}" in table


def test_each_metric_has_its_row_in_its_group() -> None:
    rows = metric_rows(metrics())
    assert [row["key"] for row in rows] == [metric.key for metric in METRICS]
    groups = [row["group"] for row in rows]
    assert groups == sorted(groups, key=groups.index)  # none is split in two
    recall = next(row for row in metric_rows({**metrics(), **RECALL}) if row["key"] == "recall")
    figures = [recall[column] for column in ("figure", "interval", "floor", "n")]
    assert figures == ["0.61", "0.56 to 0.71", "0.9", "359"]
    assert next(row for row in rows if row["key"] == "memorised")["n"] == ""


def test_an_interval_is_the_metrics_own_or_made_of_its_deviation() -> None:
    assert interval({"a": 1.0, "a_sd": 0.1, "a_low": 0.7, "a_high": 1.1}, "a") == (0.7, 1.1)
    assert interval({"a": 1.0, "a_sd": 0.1}, "a") == pytest.approx((0.804, 1.196))
    assert interval({"a": 1.0, "a_low": 0.7}, "a") is None
    assert [
        row["key"] for row in metric_rows({"n": 5, "recall": None, "precision": 0.5, "fd_texture": True})
    ] == ["precision"]


@pytest.mark.parametrize(
    "metrics",
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
def test_what_is_drawn_lies_on_the_axis_in_order(metrics: dict[str, Any]) -> None:
    (row,) = metric_rows(metrics)
    drawn = row["picture"]
    positions = [drawn[key] for key in ("zero", "low", "value", "high", "floor") if drawn[key] is not None]
    assert all(2 <= position <= 98 for position in positions)
    assert drawn["low"] <= drawn["value"] <= drawn["high"]
    key = row["key"]
    if f"{key}_floor" in metrics and metrics[key] != metrics[f"{key}_floor"]:
        assert (drawn["floor"] > drawn["value"]) == (metrics[f"{key}_floor"] > metrics[key])
