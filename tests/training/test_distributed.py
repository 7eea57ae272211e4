"""Several processes are as one: the same draws, gradients and statistics; one writer; nothing lost."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

from gan.training.distributed import World
from tests.conftest import ROOT, UNPENALISED
from tests.stages.project import ENVIRONMENT, Project
from tests.training.two_processes import SETTINGS, build, gradients

# Sums over halves of a batch round otherwise than over the whole, and between D's gradients and G's lies
# D's first Adam step, which makes a whole step of a tiny gradient's sign. A wrong factor or a missing
# term is off by 0.1 or more.
TOLERANCE = 2e-3
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
SMALL = {
    **{f"train__{key}": value for key, value in UNPENALISED.items()},
    "network__base_channels": 4,
    "train__batch_size": 32,
    "train__max_steps": 40,
    "train__log_every": 5,
    "train__snapshots": 2,
    "train__threads": 1,
    "train__precision": "fp32",
    "train__checkpoint_seconds": 0.2,
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gradients of two real processes, in files."""
    folder = tmp_path_factory.mktemp("two")
    command = [*TORCHRUN, "-m", "tests.training.two_processes", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_have_the_gradients_and_weights_of_one(name: str, two: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    one = gradients(build(name, tmp_path, World()))
    first, second = (torch.load(two / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys() == one.keys()
    assert all(torch.equal(first[key], second[key]) for key in one)
    for network in ("generator", "discriminator"):
        ours, wanted = (
            torch.cat([g.flatten() for key, g in averaged.items() if key.startswith(network)])
            for averaged in (first, one)
        )
        assert (ours - wanted).norm() / wanted.norm() < TOLERANCE, network


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Digits, prepared, and trained by one process; `one/` keeps what came of it."""
    project = Project(tmp_path_factory.mktemp("distributed"), **SMALL)
    project.run("download", "prepare", "train")
    (project.path / "models").rename(project.path / "one")
    (project.path / "reports" / "training.csv").rename(project.path / "one.csv")
    return project


@pytest.fixture
def project(prepared: Project) -> Iterator[Project]:
    prepared.set(train__devices=1, train__batch_size=32, train__max_steps=40)
    yield prepared
    subprocess.run(["rm", "-rf", str(prepared.path / ".runs"), str(prepared.path / "models")], check=True)


def close_to_one_process(project: Project) -> None:
    """The first rows agree; later ones drift apart, as any rounding does in a GAN."""
    ours, one = (pd.read_csv(project.path / name) for name in ("reports/training.csv", "one.csv"))
    assert ours["step"].tolist() == one["step"].tolist()
    first = slice(0, 3)
    for column in ("loss_d", "loss_g", "d_real", "d_fake"):
        assert ours[column][first].to_numpy() == pytest.approx(one[column][first].to_numpy(), rel=0.01)


@pytest.mark.slow
def test_two_devices_train_as_one_does_and_one_process_writes(project: Project) -> None:
    project.set(train__devices=2)
    output = project.run("train")
    assert "2 processes" in output
    assert len(re.findall("models/final.safetensors", output)) == 1
    close_to_one_process(project)
    final, one = (load_file(project.path / name / "final.safetensors") for name in ("models", "one"))
    assert {name: t.shape for name, t in final.items()} == {name: t.shape for name, t in one.items()}
    assert sorted(p.name for p in (project.path / "models" / "snapshots").iterdir()) == sorted(
        p.name for p in (project.path / "one" / "snapshots").iterdir()
    )


def started(project: Project, command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command, cwd=project.path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_state(project: Project, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not list((project.path / ".runs").glob("train-*/state-*")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return [child for child in children if "gan.stages.train" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_a_killed_process_loses_nothing_and_one_process_can_go_on(project: Project) -> None:
    """Begun by two, one of them killed with -9, ended by one process alone."""
    project.set(train__devices=2, train__max_steps=400)
    process = started(project, [sys.executable, "-m", "gan.stages.train"])
    wait_for_state(project, process)
    workers(process)[1].kill()
    output = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "run the same command again" in output.splitlines()[-1]
    states = sorted((project.path / ".runs").glob("train-*/state-*"))
    reached = int(states[-1].name.split("-")[2])
    project.set(train__devices=1)
    again = started(project, [sys.executable, "-m", "gan.stages.train"])
    time.sleep(0.1)
    assert again.communicate(timeout=120)[1].count("error") == 0
    assert reached > 0
    rows = pd.read_csv(project.path / "reports" / "training.csv")
    assert rows["step"].tolist() == list(range(5, 401, 5))


@pytest.mark.slow
def test_torchrun_starts_again_what_was_killed_with_the_same_bits(project: Project) -> None:
    project.set(train__max_steps=100)
    torchrun = [*TORCHRUN, "--max-restarts=1", "-m", "gan.stages.train"]
    whole = started(project, torchrun)
    assert whole.communicate(timeout=120)[1].count("Traceback") == 0
    assert whole.returncode == 0
    wanted = {p: p.read_bytes() for p in (project.path / "models").rglob("*.safetensors")}
    process = started(project, torchrun)
    wait_for_state(project, process)
    workers(process)[0].kill()
    output = process.communicate(timeout=120)[1]
    assert process.returncode == 0, output
    assert {p: p.read_bytes() for p in wanted} == wanted


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_checkpoints_all_at_one_step(project: Project, number: int) -> None:
    project.set(train__devices=2, train__max_steps=100_000, train__epochs=100_000)
    process = started(project, [sys.executable, "-m", "gan.stages.train"])
    wait_for_state(project, process)
    children = workers(process)
    os.kill(process.pid, number)
    output = process.communicate(timeout=15)[1]
    assert process.returncode == 130, output
    (step,) = re.findall(r"interrupted after step (\d+)", output)
    assert list((project.path / ".runs").glob(f"train-*/state-000-{int(step):09d}-*"))
    assert "Traceback" not in output
    assert not [child for child in children if child.is_running()]


@pytest.mark.slow
def test_shares_that_are_not_equal_are_refused_in_one_line(project: Project) -> None:
    project.set(train__devices=3)
    assert "train.devices: 3" in project.fail("train")
    project.set(train__devices=2, train__batch_size=2000)
    line = project.fail("train")
    assert "process" in line or "larger than the training half" in line
