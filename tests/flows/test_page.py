"""The report completed by what flows know: the run before, the revision, the machine, what it took."""

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from flows import page
from flows.judge import metric_changes
from flows.judge.metric_changes import Before
from flows.pages import stage_usage
from flows.repo.lock_file import Record, Stage
from gan.metric_table import METRICS, Metric
from gan.stages import report
from tests.browser import chromium, requests
from tests.conftest import ROOT
from tests.forked_commands import Forked
from tests.report.run import make_run, metrics

LOCK = """\
schema: '2.0'
stages:
  prepare:
    cmd: python -m gan.stages.prepare
    outs:
    - path: data/prepared/test.safetensors
      md5: {md5}
  train:
    cmd: python -m gan.stages.train
    outs:
    - path: models/generator.safetensors
      md5: '2'
  report:
    cmd: python -m gan.stages.report
    outs:
    - path: reports/index.html
      md5: '3'
"""
SUBJECT = 'Older <b>run</b> & "quotes"'
MACHINE = {
    "system": "Linux x86_64",
    "processor": "Some <i>processor</i>",
    "instructions": ["avx2"],
    "accelerator": None,
    "python": "3.11",
    "packages": {"torch": "2.13.0"},
}


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def record(folder: Path, stage: str, ended: float, **facts: Any) -> None:
    path = folder / ".runs" / "usage" / f"{stage}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"started": ended - 90, "ended": ended, "seconds": 90.0, "cpu_seconds": 171.5}
    path.write_text(json.dumps({**whole, "peak_rss_bytes": 1_234_000_000, "joules": None, **facts}))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that is reported, after one that was committed."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(make_run(folder))
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / "dvc.lock").write_text(LOCK.format(md5="1"))
    (folder / ".runs").mkdir(exist_ok=True)
    (folder / ".runs" / "machine.json").write_text(json.dumps(MACHINE))
    today = json.loads((folder / "reports" / "evaluation.json").read_text())
    older = {**today, "fd_semantic": 3.0, "fd_semantic_low": 2.5, "fd_semantic_high": 3.5}
    older |= {"recall": 0.9, "recall_low": 0.88, "recall_high": 0.92, "precision": today["precision"] + 0.01}
    (folder / "reports" / "evaluation.json").write_text(json.dumps(older))
    git(folder, "init", "-q")
    git(folder, "add", "dvc.yaml", "dvc.lock", "reports/evaluation.json")
    git(folder, "commit", "-qm", SUBJECT)
    (folder / "reports" / "evaluation.json").write_text(json.dumps(today))
    report.main()
    return folder


def command(folder: Path) -> tuple[int, str]:
    process = Forked("flows.page", [], folder, {**os.environ, "PYTHONPATH": str(ROOT)})
    output, _ = process.communicate(60)
    return process.wait(), output


@pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.slow)])
def test_it_shows_what_differs_between_equal_runs(project: Path, tmp_path: Path, width: int) -> None:
    original = (project / "reports" / "index.html").read_bytes()
    record(project, "train", time.time(), steps=1760, resumed_at=300, joules={"processor": 5400.0})
    status, output = command(project)
    assert (status, output.split()[:2]) == (0, ["page", ".runs/report.html"])
    assert (project / "reports" / "index.html").read_bytes() == original
    with chromium(tmp_path / "profile", width) as driver:
        driver.get((project / ".runs" / "report.html").as_uri())
        text = driver.find_element(By.ID, "run").text
        for phrase in (
            SUBJECT,
            "Some <i>processor</i>",
            "this checkout has changes: reports/evaluation.json",
            "better, beyond the interval",
            "worse, beyond the interval",
            "within the interval",
            "1 min 30 s",
            "2 min 52 s",
            "1,234 MB",
            "5.4 kJ processor",
            "1760 steps, the first 300 in an earlier run, which is not counted",
            "not run here",
        ):
            assert phrase in text, phrase
        assert "python -m flows.page" not in text
        assert driver.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
        link = driver.find_element(By.LINK_TEXT, "The validation page").get_attribute("href")
        assert link == (project / "reports" / "validation" / "index.html").as_uri()
        assert requests(driver) == [(project / ".runs" / "report.html").as_uri()]


def test_after_the_commit_it_is_beside_the_run_before(project: Path) -> None:
    git(project, "add", "reports/evaluation.json")
    git(project, "commit", "-qm", "This run")
    git(project, "commit", "-qm", "Words alone", "--allow-empty")
    collected = page.collect(project)
    assert collected["subject"] == "Words alone"
    assert collected["before"].subject == SUBJECT
    verdicts = {row.name: row.verdict for row in collected["rows"]}
    assert verdicts["Fréchet distance, semantic"] == "better"
    assert verdicts["Recall"] == "worse"
    assert verdicts["Precision"] == verdicts["Coverage"] == "same"


def test_without_git_a_lock_or_records_it_says_so(project: Path) -> None:
    for name in (".git", "dvc.lock", ".runs/machine.json"):
        (project / name).rename(project / f"moved-{Path(name).name}")
    assert command(project)[0] == 0
    text = re.sub("<[^>]*>", "", (project / ".runs" / "report.html").read_text())
    for phrase in (
        "not known: no commit here",
        "nothing to compare them with yet",
        "not known here",
        "not known here: train has not run in this folder",
    ):
        assert phrase in text


def test_a_report_without_room_for_it_is_one_line(project: Path) -> None:
    (project / "reports" / "index.html").write_text("<!doctype html><title>of an older revision</title>")
    status, output = command(project)
    assert status == 1
    assert output.startswith("error: reports/index.html: ")
    assert len(output.splitlines()) == 1
    assert not (project / ".runs" / "report.html").exists()


def compared(
    today: dict[str, Any], then: dict[str, Any], images: tuple[str, str] = ("1", "1")
) -> dict[str, str]:
    rows = metric_changes.rows(today, Before("c", "s", then, images[1]), images[0])
    return {row.name: row.note for row in rows}


def test_what_does_not_compare_is_not_compared() -> None:
    today = metrics()
    other = compared(today, {**today, "extractor_sha256": "cd" * 32})
    assert other["Recall"] == "another extractor"
    assert other["Memorised, by pixels"] == "the same"
    assert compared(today, {key: today[key] for key in ("n", "recall")})["Recall"].endswith(
        "another extractor"
    )
    fewer = compared(today, {**today, "n": 200})
    assert fewer["Recall"] == "another n (200 before)"
    assert fewer["Kernel distance, semantic"] == "the same"
    assert set(compared(today, today, ("1", "2")).values()) == {"other held-out images"}
    missing = compared(today, {key: value for key, value in today.items() if not key.startswith("density")})
    assert missing["Density"] == "measured in this run only"
    without = {key: value for key, value in today.items() if not key.startswith("density")}
    assert compared(without, today)["Density"] == "measured in the run before only"


def test_what_is_not_comparable_is_said_once(project: Path) -> None:
    measured = project / "reports" / "evaluation.json"
    today = json.loads(measured.read_text())
    del today["density"]
    measured.write_text(json.dumps({**today, "extractor_sha256": "cd" * 32}))
    assert command(project)[0] == 0
    text = (project / ".runs" / "report.html").read_text()
    assert text.count("Not comparable") == 1
    rows = len(METRICS)
    own = sum(metric.pixels for metric in METRICS)
    assert f"another extractor:</span> the {rows - own - 1} of {rows} without a difference." in text
    assert text.count("measured in the run before only") == 1
    assert text.count("A metric is measured in one of both runs only where") == 1


def test_the_interval_of_a_difference() -> None:
    """With equal, symmetric intervals MOVER is the sum of squares: 1.96 · √2 · sd."""
    metric = Metric("a", "A", "", "lower", "")
    then = {"a": 1.0, "a_sd": 0.1}
    assert metric_changes.judged(metric, {"a": 0.70, "a_sd": 0.1}, then)[0] == "better"  # 0.30 > 0.277
    assert metric_changes.judged(metric, {"a": 0.75, "a_sd": 0.1}, then)[0] == "same"
    assert metric_changes.judged(metric, {"a": 1.30, "a_sd": 0.1}, then)[0] == "worse"
    assert metric_changes.judged(metric, {"a": 0.5}, then) == ("unknown", "its interval is not known", "")
    skewed = {"a": 1.3, "a_low": 1.25, "a_high": 2.0}  # downwards it is sure, upwards not
    assert metric_changes.judged(metric, skewed, {"a": 1.0, "a_low": 0.5, "a_high": 1.1})[0] == "worse"


def test_records_of_another_run_are_not_shown(tmp_path: Path) -> None:
    lock = Record({"a": Stage("", outputs={"a/out": ""}), "b": Stage("", outputs={"b": ""})})
    (tmp_path / "a" / "out").mkdir(parents=True)
    (tmp_path / "a" / "out" / "x").write_text("x")
    (tmp_path / "b").write_text("b")
    assert {row.note for row in stage_usage.used(tmp_path, lock)} == {"not run here"}
    now = time.time()
    record(tmp_path, "a", now, joules={"processor": 400.0})
    record(tmp_path, "b", now - 30, joules={"processor": 800.0})
    rows = {row.stage: row for row in stage_usage.used(tmp_path, lock)}
    assert rows["a"].wall == "1 min 30 s"
    assert rows["b"].note.startswith("not measured")  # its file is newer than its run
    os.utime(tmp_path / "b", (now - 30, now - 30))
    rows = {row.stage: row for row in stage_usage.used(tmp_path, lock)}
    assert rows["together"].wall == "2 min 00 s"  # 30 of the 90 seconds were the same
    assert rows["together"].energy == "at most 1.2 kJ processor"
    (tmp_path / ".runs" / "usage" / "a.json").write_text("{")
    assert stage_usage.used(tmp_path, lock)[0].note == "not run here"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (119.6, "2 min 00 s"), (7384, "2 h 03 min")]
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert stage_usage.duration(seconds) == text
