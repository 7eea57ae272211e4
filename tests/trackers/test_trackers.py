"""`track.to`: each tracker is read back by its own library, after a training that was killed and went on."""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from gan.errors import UserError
from gan.runtime import live_record
from gan.trackers import flat
from tests.flows.storage import free_port, running
from tests.stages.project import ENVIRONMENT, TINY_TRAINING, Project

EVERY = ("tensorboard", "mlflow", "dvclive", "wandb")
STEPS = list(range(5, 121, 5))
PICTURES = [40, 80, 120]


def make(folder: Path, *trackers: str) -> Project:
    project = Project(
        folder,
        **TINY_TRAINING,
        train__max_steps=120,
        train__log_every=5,
        train__snapshots=3,
        train__checkpoint_seconds=0.1,
        track__to=list(trackers),
    )
    project.run("download", "prepare")
    return project


def train_with_a_kill(project: Project, environment: dict[str, str]) -> None:
    """Train, killed after some rows, and gone on with from a state."""
    training = project.start("train", env=environment)
    events = project.path / live_record.EVENTS
    while sum(event["event"] == "row" for event in live_record.read_events(events)) < 10:
        assert training.poll() is None
        time.sleep(0.01)
    training.send_signal(signal.SIGKILL)
    training.communicate()
    assert "goes on from step" in project.run("train", env=environment)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    home = tmp_path_factory.mktemp("tracked")
    project = make(home / "project", *EVERY)
    train_with_a_kill(project, {**ENVIRONMENT, "HOME": str(home)})
    return project


def folder(project: Project, tracker: str) -> Path:
    (only,) = (project.path / ".runs" / tracker).iterdir()
    return only


@pytest.mark.slow
def test_tensorboard(tracked: Project) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder(tracked, "tensorboard")), size_guidance={"images": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("loss_d")] == STEPS
    assert [event.step for event in events.Images("fixed_latents")] == PICTURES
    assert [event.step for event in events.Scalars("snapshot/diversity")] == PICTURES
    text = events.Tensors("params/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "network.latent_dim: 8" in text


@pytest.mark.slow
def test_mlflow(tracked: Project) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tracked.path}/.runs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("ganflow").experiment_id])  # one, not two
    assert run.info.status == "FINISHED"
    assert run.data.params["network.latent_dim"] == "8"
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "d_real")]
    assert steps == STEPS
    looks = client.get_metric_history(run.info.run_id, "snapshot/distance")
    assert [metric.step for metric in looks] == PICTURES
    (pictures,) = (tracked.path / ".runs" / "mlflow").rglob("fixed_latents")
    assert [path.name for path in sorted(pictures.iterdir())] == [f"step-{step:09d}.png" for step in PICTURES]
    assert not (tracked.path / "mlruns").exists()


@pytest.mark.slow
def test_dvclive(tracked: Project) -> None:
    lines = (folder(tracked, "dvclive") / "plots" / "metrics" / "loss_g.tsv").read_text().splitlines()
    assert lines[0] == "step\tloss_g"
    assert [int(line.split()[0]) for line in lines[1:]] == STEPS
    assert json.loads((folder(tracked, "dvclive") / "metrics.json").read_text())["step"] == 120


@pytest.mark.slow
def test_dvclive_itself_writes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STUDIO_OFFLINE", "true")
    monkeypatch.chdir(tmp_path)
    from dvclive.live import Live

    params = {"network": {"latent_dim": 8, "depth": None}, "train": {"to": [1, 2], "note": "é: x"}}
    rows = [{"step": 5, "loss_d": 1.25}, {"step": 10, "loss_d": float("nan")}]
    figures = {"distance": 0.5, "diversity": 1}
    grid = tmp_path / "step-000000005.png"
    Image.new("RGB", (8, 8)).save(grid)
    (ours,) = live_record.trackers(["dvclive"], "train-0", params)
    ours.begin({}, rows[:1])
    ours.picture(5, grid, figures)
    ours.row(rows[1])
    ours.end()
    with Live("theirs", save_dvc_exp=False, dvcyaml=None, monitor_system=False) as theirs:
        theirs.log_params(dict(flat(params)))
        for row in rows:
            theirs.step = row["step"]
            theirs.log_metric("loss_d", row["loss_d"])
            theirs.make_summary()
            if row is rows[0]:
                for name, value in figures.items():
                    theirs.log_metric(f"snapshot/{name}", value)
                theirs.log_image(grid.name, grid)
    folders = tmp_path / ".runs" / "dvclive" / "train-0", tmp_path / "theirs"
    written = [
        {
            path.relative_to(top).as_posix(): json.loads(path.read_text())
            if path.suffix == ".json"
            else path.read_bytes()
            for path in top.rglob("*")
            if path.is_file()
        }
        for top in folders
    ]
    assert written[0] == written[1]
    assert len(written[0]) == 6


def records(content: bytes) -> Iterator[bytes]:
    """Yield the records of W&B's file: LevelDB's log format, blocks of 32 KiB, behind a header of 7 bytes."""
    assert content.startswith(b":W&B")
    at, parts = 7, b""
    while at + 7 <= len(content):
        if (left := 32768 - at % 32768) < 7:  # too few bytes for a record's header: padding
            at += left
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


@pytest.mark.slow
def test_wandb(tracked: Project) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder(tracked, "wandb").rglob("*.wandb")  # begun anew, so one
    rows = []
    for content in records(file.read_bytes()):
        record = Record()
        record.ParseFromString(content)
        items = {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
        if "loss_d" in items:
            rows.append((int(items["_step"]), float(items["loss_d"])))
    logged = (tracked.path / "reports" / "training.csv").read_text().splitlines()[1:]
    assert [step for step, _ in rows] == STEPS
    assert [f"{loss:.6g}" for _, loss in rows] == [line.split(",")[2] for line in logged]


@pytest.mark.slow
def test_they_change_no_bit_and_no_file_outside_runs(tracked: Project, tmp_path: Path) -> None:
    plain = make(tmp_path / "plain")
    plain.run("train")
    for out in ("models", "reports"):
        assert plain.tree(out) == tracked.tree(out)
    assert {p.name for p in plain.path.iterdir()} == {p.name for p in tracked.path.iterdir()}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_nothing_is_sent(tmp_path: Path) -> None:
    project = make(tmp_path / "project", *EVERY)
    project.set(train__max_steps=10)
    trace = tmp_path / "trace"
    watched = ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", trace]
    command = [*watched, sys.executable, "-m", "gan.stages.train"]
    subprocess.run(
        command, cwd=project.path, env={**ENVIRONMENT, "HOME": str(tmp_path)}, check=True, timeout=300
    )
    addresses = set(
        re.findall(r'inet_addr\("([^"]+)"|"([0-9a-f:]+)", &sin6', trace.read_text(errors="replace"))
    )
    assert {one for pair in addresses for one in pair if one} <= {"127.0.0.1", "::1"}


def test_a_package_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "gan.trackers.wandb", raising=False)
    with pytest.raises(UserError, match=r"^params.yaml: track.to: wandb: its package is not installed"):
        live_record.trackers(["wandb"], "train-0", {})


@pytest.mark.slow
def test_a_server_that_is_away_costs_a_line(tmp_path: Path) -> None:
    project = make(tmp_path / "project", "mlflow")
    project.set(train__max_steps=10)
    environment = {**ENVIRONMENT, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    output = project.run("train", env=environment)
    assert output.count("mlflow: told no more of this training: ") == 1
    assert "Traceback" not in output
    assert (project.path / "models" / "final.safetensors").exists()


def test_a_name_that_is_no_tracker(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", track__to=["tensorbord"])
    refusal = project.fail("train")
    assert "track.to" in refusal and "tensorbord" in refusal and "'tensorboard'" in refusal


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[str]:
    """A real server on SQLite, in an environment of its own: it needs an older pyarrow than ours."""
    from mlflow.version import VERSION

    uv, programs = Path(sys.executable).parent / "uv", tmp_path / "venv" / "bin"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, programs.parent], check=True)
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", programs / "python"]
    install.append(f"mlflow=={VERSION}")
    if subprocess.run(install, check=False, capture_output=True).returncode:
        pytest.skip("no index of packages in reach, to install MLflow's server from")
    port = free_port()
    command = [programs / "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", "sqlite:///server.db"]
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with running(command, tmp_path / "server.log", port, seconds=300, PATH=path):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.slow
def test_mlflows_own_server(mlflow_server: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    project = make(tmp_path / "project", "mlflow")
    train_with_a_kill(project, {**ENVIRONMENT, "MLFLOW_TRACKING_URI": mlflow_server})
    client = MlflowClient(mlflow_server)
    (run,) = client.search_runs([client.get_experiment_by_name("ganflow").experiment_id])
    assert run.info.status == "FINISHED"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss_d")] == STEPS
    names = [Path(file.path).name for file in client.list_artifacts(run.info.run_id, "fixed_latents")]
    assert sorted(names) == [f"step-{step:09d}.png" for step in PICTURES]
