"""`ganflow watch`, in a real browser, beside a real training that is killed and goes on."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from selenium.webdriver.common.by import By

from flows.pages import live_runs
from gan import files
from gan.runtime import live_record
from tests.browser import chromium
from tests.conftest import ROOT
from tests.stages.project import ENVIRONMENT, TINY_TRAINING, Project

BEGIN = {
    "event": "begin",
    "time": 100.0,
    "total": 400,
    "images_per_step": 8,
    "folder": ".runs/train-0",
    "columns": ["step", "images_seen", "loss_d", "loss_g", "d_real", "d_fake"],
}


def row(step: int, seconds: float, **figures: float) -> dict[str, object]:
    return {"event": "row", "time": seconds, "step": step, "images_seen": 8 * step, "loss_d": 1.0, **figures}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(
        tmp_path / "project",
        **TINY_TRAINING,
        train__max_steps=300,
        train__log_every=5,
        train__snapshots=6,
        train__checkpoint_seconds=0.2,
    )
    made.run("download", "prepare")
    (made.path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    return made


@pytest.fixture
def watched(project: Project) -> Iterator[str]:
    """The page's address."""
    command = [sys.executable, "-m", "flows.pages.watch", "--port", "0"]
    process = subprocess.Popen(command, cwd=project.path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    yield line.split()[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    assert not (project.path / live_record.ADDRESS).exists()


def state(address: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{address}/state.json", timeout=10) as answer:
        return json.load(answer)[0]


def until(true: Callable[[], object]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true within 30 seconds")


@pytest.mark.slow
def test_a_training_killed_and_gone_on_with(project: Project, watched: str) -> None:
    assert state(watched)["training"] is None
    training = project.start("train")
    until(lambda: (state(watched)["training"] or {}).get("pictures"))
    seen = state(watched)
    assert {s["name"]: s["state"] for s in seen["stages"]}["train"] == "running"
    assert {s["name"]: s["state"] for s in seen["stages"]}["prepare"] == "done"
    assert {s["name"]: s["state"] for s in seen["stages"]}["report"] == "waiting"
    assert seen["training"]["state"] == "running"
    assert seen["training"]["total"] == 300
    until(lambda: (state(watched)["training"]["images_per_second"] or 0) > 0)
    training.send_signal(signal.SIGKILL)
    training.communicate()
    stopped = state(watched)["training"]
    assert stopped["state"] == "stopped" and stopped["seconds_left"] is None
    grown = pd.read_csv(project.path / "reports" / "training.csv")
    assert list(grown["step"]) == [point[0] for point in stopped["rows"]]  # the out grows as it trains
    assert [p.name for p in sorted((project.path / "reports" / "fixed_latents").iterdir())] == [
        picture["file"] for picture in stopped["pictures"]
    ]
    said = project.run("train")
    assert "goes on from step" in said and f"live at {watched}" in said
    ended = state(watched)["training"]
    assert ended["state"] == "ended" and ended["step"] == 300
    steps = [point[0] for point in ended["rows"]]
    assert (
        steps
        == list(range(5, 301, 5))
        == list(pd.read_csv(project.path / "reports" / "training.csv")["step"])
    )
    assert [picture["step"] for picture in ended["pictures"]] == [50, 100, 150, 200, 250, 300]
    assert any(
        "interrupted" in line or "goes on" in line or "images/s" in line for line in state(watched)["log"]
    )


@pytest.mark.slow
def test_outs_that_are_there_do_not_grow(project: Project) -> None:
    project.run("train")
    before = project.tree("reports")
    project.set(train__seed=7, train__max_steps=100_000, train__epochs=100_000)
    training = project.start("train")
    until(lambda: len(live_record.read_events(project.path / live_record.EVENTS)) > 3)
    training.kill()
    training.communicate()
    assert project.tree("reports") == before


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(project: Project, watched: str, tmp_path: Path, width: int) -> None:
    project.set(train__max_steps=100_000, train__epochs=100_000, train__snapshots=2000)
    training = project.start("train")
    try:
        with chromium(tmp_path / "profile", width=width) as driver:
            driver.get(watched)

            def text(name: str) -> str:
                return str(driver.find_element(By.ID, name).text)

            until(lambda: "running: train" in text("state") and "step" in text("step"))
            first = text("figures")
            assert re.search(r"step\s+\d+ of \d+", first) and "images/s" in first
            until(lambda: text("figures") != first)  # it follows
            assert "loss_d" in text("losses") and "d_fake" in text("certainty")
            assert driver.find_elements(By.CSS_SELECTOR, "#losses path[d^=M]")
            until(lambda: int(driver.find_element(By.ID, "which").get_attribute("max")) >= 2)
            slider = "const s = document.getElementById('which'); s.value = 0; s.oninput(); return s.value"
            assert driver.execute_script(slider) == "0"
            earlier = text("step")
            assert earlier.startswith("step 50,")
            drawn = "const i = document.getElementById('picture'); return i.complete && i.naturalWidth"
            until(lambda: driver.execute_script(drawn))
            time.sleep(2)
            assert text("step").split(",")[0] == earlier.split(",")[0]  # where it was put it stays
            driver.find_element(By.ID, "newest").click()
            until(lambda: text("step").split(",")[0] != earlier.split(",")[0])
            assert "train" in text("log")
            wide = "return document.documentElement.scrollWidth - innerWidth"
            assert driver.execute_script(wide) <= 0
            training.kill()
            training.communicate()
            until(lambda: "stopped" in text("figures") and text("state") == "nothing runs now")
            training = project.start("train")
            until(lambda: "running: train" in text("state"))
    finally:
        training.kill()
        training.communicate()


def test_it_answers_loopback_alone_and_shows_no_other_file(project: Project, watched: str) -> None:
    (project.path / "reports" / "fixed_latents").mkdir(parents=True)
    (project.path / "reports" / "secret.png").write_bytes(b"x")
    (project.path / "reports" / "fixed_latents" / "step-000000050.png").write_bytes(b"picture")
    (project.path / ".runs" / "live").mkdir(exist_ok=True)
    lie = {**BEGIN, "folder": "../../etc"}  # whoever wrote it
    (project.path / live_record.EVENTS).write_text(json.dumps(lie) + "\n")

    def status(path: str, **headers: str) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(watched + path, headers=headers)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    run = "/picture/this%20checkout"
    assert status(f"{run}/step-000000050.png") == 200
    for path in (
        f"{run}/..%2fsecret.png",
        f"{run}/../secret.png",
        f"{run}/step-000000051.png",
        "/params.yaml",
        "/picture/other/step-000000050.png",
        "/..%2fparams.yaml",
    ):
        assert status(path) == 404, path
    assert status("/", Host="evil.example") == 403
    assert status("/state.json", Host="evil.example:80") == 403


def test_ports(project: Project, watched: str) -> None:
    def refused(port: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "flows.pages.watch", "--port", port]
        ran = subprocess.run(
            command,
            cwd=project.path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return ran.returncode, ran.stderr

    port = watched.rpartition(":")[2]
    assert refused(port) == (
        1,
        f"error: --port {port}: Address already in use; try --port 0, which takes a free one\n",
    )
    status, text = refused("65536")
    assert status == 2 and "65536: a whole number from 0 to 65535 is needed" in text


def test_worktrees_and_queued_experiments_are_rows(tmp_path: Path) -> None:
    for folder in (".", ".runs/worktrees/ganflow-trial-1-0123abcd", ".dvc/tmp/exps/standard/tmp1"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "dvc.yaml").write_text("stages:\n  train: {cmd: 'true'}\n")
    record = tmp_path / ".runs/worktrees/ganflow-trial-1-0123abcd" / live_record.EVENTS
    record.parent.mkdir(parents=True)
    lines = [json.dumps(event) for event in (BEGIN, row(5, 101.0), row(10, 103.0))]
    record.write_text("\n".join(lines) + '\n{"event": "row", "time": 10')  # torn by a kill
    runs = {run["name"]: run for run in live_runs.collect(tmp_path)}
    assert list(runs) == ["this checkout", "tmp1", "trial-1"]
    assert runs["trial-1"]["training"]["step"] == 10
    assert runs["trial-1"]["training"]["images_per_second"] == 5 / 2 * 8
    assert runs["this checkout"]["training"] is None


def test_time_left_is_that_of_the_run_gone_on_with() -> None:
    begin = {**BEGIN, "time": 1000.0}  # the rows before it are of a run an hour ago
    events = [begin, row(5, 1.0), row(10, 2.0), row(15, 1010.0), row(20, 1020.0), row(25, 1030.0)]
    seen = live_runs.training(events, running=True, now=1031.0)
    assert seen is not None
    assert seen["images_per_second"] == pytest.approx(8 * 0.5)
    assert seen["seconds_left"] == pytest.approx((400 - 25) / 0.5)


def test_a_long_curve_is_thinned_and_ends_with_its_last_row() -> None:
    seen = live_runs.training([BEGIN, *(row(i, 100.0 + i) for i in range(1, 5001))], running=False, now=0.0)
    assert seen is not None
    assert len(seen["rows"]) == live_runs.POINTS and seen["rows"][0][0] == 1 and seen["rows"][-1][0] == 5000


def test_a_stage_is_not_disturbed_by_being_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages:\n  prepare: {cmd: 'true'}\n  train: {cmd: 'true'}\n")
    with files.run_lock("train"):
        assert live_runs.collect(tmp_path)[0]["stages"] == [
            {"name": "prepare", "state": "done"},
            {"name": "train", "state": "running"},
        ]
    assert {stage["state"] for stage in live_runs.collect(tmp_path)[0]["stages"]} == {"idle"}
    monkeypatch.setattr(live_runs, "_held_locks", lambda: None)  # a kernel that does not say
    with files.run_lock("train"):
        assert live_runs.collect(tmp_path)[0]["stages"][1]["state"] == "running"
