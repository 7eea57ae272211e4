"""Deployments that run by themselves: schedules, overlap, cancelling, crashes, a server that goes away."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.flows.harness import wait_for
from tests.flows.model_project import Model, make_model
from tests.flows.serving import Service, flow_process, postgres, served, working, write_deployments

pytestmark = pytest.mark.slow


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return make_model(tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "prefect")
    made.start()
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A server on the embedded database, and one on PostgreSQL."""
    with ExitStack() as stack:
        database = None
        if request.param == "postgresql":
            database = stack.enter_context(postgres(tmp_path / "postgres"))
        made = Service(tmp_path / "prefect", database)
        made.start()
        stack.callback(made.stop)
        yield made


def state_file(model: Model) -> Path:
    return model.root / ".runs" / "states" / "retrain" / "train-toy.json"


def in_training(model: Model) -> None:
    """Wait until a training is some steps on."""
    wait_for(lambda: state_file(model).exists() and len(state_file(model).read_text()) > 10, 90)


def steps(model: Model) -> int:
    return len(json.loads(state_file(model).read_text()))


def first_step(service: Service, run: str) -> str:
    log = service.ask("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200})
    return str(next(entry["message"] for entry in log if "train     step" in entry["message"]))


def test_a_schedule_fires_and_runs_do_not_overlap(model: Model, either: Service) -> None:
    """Every 15 s, and a run takes longer: one at a time, and those that are overtaken are skipped."""
    service = either
    write_deployments(model, 15, git_remote=None)
    with served(model, service, TOY_DOWNLOAD="sleep 20"):
        (model.source / "new.txt").write_text("new")

        def ended(name: str) -> list[dict[str, object]]:
            return [run for run in service.runs() if run["state_name"] == name]

        wait_for(lambda: len(ended("Completed")) >= 2 and ended("Skipped"), 400)
        runs = [run for run in service.runs() if run["state_name"] == "Completed"]
    spans = [
        (datetime.fromisoformat(run["start_time"]), datetime.fromisoformat(run["end_time"])) for run in runs
    ]
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    first = service.artifacts(runs[0]["id"])
    assert {"stages", "report", "samples", "validation"} - first.keys() == {"validation"}
    assert {row["stage"] for row in json.loads(first["stages"]["data"])} == {"download", "train", "evaluate"}
    assert model.branches(), "new data came, and no branch"
    assert runs[0]["name"] == "retrain HEAD, fresh data"
    assert model.leftovers() == []


def test_cancelled_and_resumed(model: Model, service: Service) -> None:
    write_deployments(model)
    with served(model, service, TOY_TRAIN="steps 60"):
        run = service.begin("retrain/often", params={"train.seed": 1})
        in_training(model)
        began = time.monotonic()
        service.ask(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
        assert service.wait(run, 60) == "Cancelled"
        assert time.monotonic() - began < 45
        wait_for(lambda: not model.stages(), 5)
        done = steps(model)
        assert 0 < done < 60
        progress = service.artifacts(run)["progress-train"]
        assert "images/s" in progress["description"] and "left" in progress["description"]
        again = service.begin("retrain/often", params={"train.seed": 1})
        in_training(model)
        assert steps(model) >= done
        assert service.wait(again) == "Completed"
        assert f"step {done + 1}/60" in first_step(service, again)
    assert len(model.branches()) == 1


@pytest.mark.parametrize(
    ("victim", "seconds"), [("flow", 30), ("serve", 30), ("serve, SIGTERM", 30), ("both", 150)]
)
def test_killed(model: Model, service: Service, victim: str, seconds: float) -> None:
    """Nothing keeps training; Prefect knows within the stated time; the next run goes on from there."""
    write_deployments(model)
    with served(model, service, "--silent", "75", TOY_TRAIN="steps 4000") as serve:
        run = service.begin("retrain/often", params={"train.seed": 1})
        in_training(model)
        flow = flow_process(serve)
        if victim != "flow":
            os.kill(serve.pid, signal.SIGTERM if "SIGTERM" in victim else signal.SIGKILL)
        if victim in ("flow", "both"):
            flow.kill()
        wait_for(lambda: not model.stages(), 20)
        assert service.wait(run, seconds) == "Crashed"
    done = steps(model)
    with served(model, service, TOY_TRAIN=f"steps {done + 3}"):
        again = service.begin("retrain/often", params={"train.seed": 1})
        assert service.wait(again, 90) == "Completed"
        assert f"step {done + 1}/" in first_step(service, again)
    assert len(model.branches()) == 1
    assert model.leftovers() == []


def test_a_server_that_restarts(model: Model, service: Service) -> None:
    write_deployments(model)
    with served(model, service, TOY_TRAIN="steps 120"):
        run = service.begin("retrain/often", params={"train.seed": 1})
        in_training(model)
        service.stop()
        time.sleep(10)
        service.start()
        # Prefect's client doubles its pauses: it asks again after up to twice the time that nobody answered.
        assert service.wait(run, 240) == "Completed"
    assert len(model.branches()) == 1
    assert "samples" in service.artifacts(run)


def test_missed_schedules_are_made_up_for_once(model: Model, service: Service) -> None:
    """A worker that was away finds several runs due: it skips all but the last."""
    write_deployments(model, 12)
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]

    def run(*arguments: str) -> None:
        done = subprocess.run(
            [*prefect, *arguments],
            cwd=model.root,
            env=model.environment(**service.api),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    (model.root / "flows").symlink_to(ROOT / "flows")
    run("work-pool", "create", "toys", "--type", "process")
    run("deploy", "--all")

    def due(moment: datetime) -> list[str]:
        body = {
            "sort": "EXPECTED_START_TIME_ASC",
            "flow_runs": {"expected_start_time": {"before_": moment.isoformat()}},
        }
        return [run["state_name"] for run in service.ask("flow_runs/filter", body)]

    wait_for(lambda: len(due(datetime.now().astimezone())) >= 3, 90)
    began = datetime.now().astimezone()
    with working(model, service):
        wait_for(lambda: "Skipped" in due(began), 300)
        wait_for(lambda: [run for run in service.runs() if run["state_name"] == "Completed"], 300)
        time.sleep(40)  # the others are tried again every 30 s
    assert due(began).count("Completed") <= 1, due(began)


def test_a_refused_model_and_a_failed_run_notify(model: Model, service: Service) -> None:
    write_deployments(model, gate=True)
    posted: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    model.promote(**service.api)
    address = f"http://127.0.0.1:{server.server_address[1]}/hook"
    for _ in range(2):  # saying it twice makes no second one
        model.run("flows.automations", "--notify", address, **service.api)
    with served(model, service, TOY_EVALUATE="sleep 0"):
        run = service.begin("retrain/often", params={"train.epochs": 5})
        assert service.wait(run) == "Completed"
        wait_for(lambda: posted, 30)
        assert "refused: kernel distance, semantic: 0.2 against v1.0.0's 0.1" in posted[0]["text"]
        assert json.loads(service.artifacts(run)["metrics"]["data"])
    with served(model, service, TOY_TRAIN="fail no more room"):
        run = service.begin("retrain/often", params={"train.seed": 5})
        assert service.wait(run) == "Failed"
        assert "stage train failed: no more room" in service.run(run)["state"]["message"]
        wait_for(lambda: len(posted) > 1, 30)
    assert posted[1]["text"].startswith("stage train failed: no more room")
    assert "error: no more room" in posted[1]["text"].splitlines()
    failure = service.artifacts(run)["failure"]["data"]
    assert "    error: no more room" in failure.splitlines()
    assert len(posted) == 2
    server.shutdown()
