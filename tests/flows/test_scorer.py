"""Metrics measured through different extractors are never shown as if they compared."""

from dataclasses import replace
from pathlib import Path

from flows import commit, history, sweep
from flows.lineage import INCOMPARABLE, Entry
from flows.record import Record
from flows.search import Plan
from flows.trials import DONE, Trial

METRICS = {"fd_semantic": 4.0, "fd_semantic_sd": 0.5, "fd_semantic_low": 3.0, "fd_semantic_high": 5.0}
ENTRY = Entry(
    commit="a" * 40,
    parents=[],
    when="2026-01-01T00:00:00",
    subject="one",
    names=[],
    kind="commit",
    record=Record({}),
    code=set(),
    metrics={**METRICS, "extractor_sha256": "1" * 64},
    packages={},
    grid=None,
    files={},
)
SAME = replace(ENTRY, metrics={**ENTRY.metrics, "fd_semantic": 2.0})
OTHER = replace(SAME, metrics={**SAME.metrics, "extractor_sha256": "2" * 64})


def test_the_bounds_are_part_of_the_figure() -> None:
    assert ENTRY.shown() == {"fd_semantic": "4 ± 0.98"}


def test_two_experiments() -> None:
    assert INCOMPARABLE not in history.comparison(ENTRY, SAME)
    text = history.comparison(ENTRY, OTHER)
    assert f"metrics, {INCOMPARABLE}" in text
    assert "4 ± 0.98  ->  2 ± 0.98" in text  # both are still there to read


def test_the_page_knows_too(tmp_path: Path) -> None:
    page = history.write_page([OTHER, ENTRY], tmp_path).read_text()
    assert f'before.scorer === after.scorer ? "Metrics" : "Metrics, {INCOMPARABLE}"' in page
    assert page.count('"scorer": "') == 2


def test_a_commit_message() -> None:
    assert commit._metrics(ENTRY, SAME) == "fd_semantic 4 ± 0.98 → 2 ± 0.98"
    assert commit._metrics(ENTRY, OTHER) == "fd_semantic 2 ± 0.98"


def test_a_sweep() -> None:
    trials = [
        Trial(Plan(name, {}), DONE, {"fd_semantic": 1.0}, 1.0, scorer=scorer)
        for name, scorer in (("one", "1" * 64), ("two", "1" * 64), ("three", "2" * 64))
    ]
    assert INCOMPARABLE not in sweep.summary(trials[:2])
    assert INCOMPARABLE in sweep.summary(trials)
