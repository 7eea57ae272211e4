"""Metrics measured through different extractors are never shown as if they compared."""

import json
from dataclasses import replace
from pathlib import Path

from flows import history, sweep
from flows.repo import commit
from flows.repo.commit_facts import Facts
from flows.repo.git import Git
from flows.repo.lineage import INCOMPARABLE, Entry
from flows.repo.lock_file import Record
from flows.tasks.search_space import Plan
from flows.tasks.trials import DONE, Trial
from gan.metric_table import METRICS as METRIC_TABLE
from tests.conftest import ROOT
from tests.flows.experiment import git

METRICS = {"fd_semantic": 4.0, "fd_semantic_sd": 0.5, "fd_semantic_low": 3.0, "fd_semantic_high": 5.0}
ENTRY = Entry(
    commit="a" * 40,
    parents=[],
    when="2026-01-01T00:00:00",
    subject="one",
    names=[],
    kind="commit",
    facts=Facts(
        record=Record({}),
        params={},
        sources={},
        code=[],
        metrics={**METRICS, "extractor_sha256": "1" * 64},
        packages={},
        unpinned={},
        grid=None,
    ),
    read_files=lambda _md5: {},
)


def with_metrics(entry: Entry, **metrics: object) -> Entry:
    return replace(entry, facts=replace(entry.facts, metrics={**entry.metrics, **metrics}))


SAME = with_metrics(ENTRY, fd_semantic=2.0)
OTHER = with_metrics(SAME, extractor_sha256="2" * 64)


def test_the_bounds_are_part_of_the_figure() -> None:
    assert ENTRY.metric_texts() == {"fd_semantic": "4 ± 0.98"}


def test_the_figures_of_the_committed_run_are_all_metrics() -> None:
    committed = json.loads(git(ROOT, "show", "HEAD:reports/evaluation.json"))
    known = {metric.key for metric in METRIC_TABLE}
    assert with_metrics(ENTRY, **committed).metric_texts().keys() == known & committed.keys()


def test_two_experiments() -> None:
    assert INCOMPARABLE not in history.comparison(ENTRY, SAME)
    text = history.comparison(ENTRY, OTHER)
    assert f"metrics, {INCOMPARABLE}" in text
    assert "4 ± 0.98  ->  2 ± 0.98" in text  # both are still there to read


def test_the_page_knows_too(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    page = history.write_page([OTHER, ENTRY], Git(tmp_path), tmp_path).read_text()
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
