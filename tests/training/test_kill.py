"""kill -9, for real: whenever it comes, running the stage again gives the bits of a run never killed."""

import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.stages.project import TINY_TRAINING, Project
from tests.training.forked import Forker

CHECKPOINT_SECONDS = 0.05
STEPS = 60
KILLS = 20
Bits = tuple[dict[str, bytes], dict[str, bytes]]


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    process = Forker()
    yield process
    process.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose images are prepared."""
    project = Project(
        tmp_path_factory.mktemp("kill") / "project",
        **TINY_TRAINING,
        train__max_steps=STEPS,
        train__log_every=10,
        train__snapshots=3,
        train__checkpoint_seconds=CHECKPOINT_SECONDS,
        train__precision="fp32",
        train__threads=1,
    )
    project.run("download", "prepare")
    return project.path


@pytest.fixture(scope="module")
def whole(forker: Forker, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, Bits]:
    """A run that is never killed: its seconds and its bits."""
    project = copied(prepared, tmp_path_factory.mktemp("whole") / "project")
    end = forker.run(project.path)
    assert end.status == 0
    assert len(end.times) == STEPS
    return end.seconds, bits(project)


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Project:
    return copied(prepared, tmp_path / "project")


def copied(prepared: Path, target: Path) -> Project:
    shutil.copytree(prepared, target)
    project = Project.__new__(Project)
    project.path = target
    return project


def bits(project: Project) -> Bits:
    """Return what a finished run leaves; nothing half-written is among it, and nothing to resume from."""
    left = [p for p in project.path.rglob("*.tmp*") if ".runs" not in p.parts]
    assert not left
    # What is resumed is gone; the records of sources, of what stages took and of the last training stay.
    assert {p.name for p in (project.path / ".runs").iterdir() if p.is_dir()} == {"live", "sources", "usage"}
    return project.tree("models"), project.tree("reports")


def newest_state(project: Project) -> int | None:
    """Return the step to resume at, 0 where no state is there yet, None where training has ended."""
    folders = list((project.path / ".runs").glob("train-*/"))
    if not folders:
        return None
    return max((int(path.name.split("-")[2]) for path in folders[0].glob("state-*")), default=0)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bits(
    forker: Forker, project: Project, whole: tuple[float, Bits]
) -> None:
    seconds, expected = whole
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # shown when the test fails
    rng = random.Random(seed)
    landed = resumed = 0
    while landed < KILLS:
        if rng.random() < 0.5 and newest_state(project) is None:  # as DVC does before a run, or not
            for out in ("models", "reports"):
                shutil.rmtree(project.path / out, ignore_errors=True)
        before = newest_state(project)
        end = forker.run(project.path, kill_after=rng.uniform(0, seconds))
        assert end.status in (0, -signal.SIGKILL), (project.path / "stderr.txt").read_text()
        done = sorted(end.times)
        if before and done:  # what was saved is not computed again
            assert done[0] == before + 1
            resumed += 1
        if end.status == 0:
            assert bits(project) == expected
            continue
        landed += 1
        after = newest_state(project)
        if after is None or not done:
            continue
        step_seconds = max((end.times[b] - end.times[a] for a, b in pairwise(done)), default=0.0)
        lost = [end.times[step] for step in done if step > after] or [0.0]
        assert lost[-1] - lost[0] <= CHECKPOINT_SECONDS + 2 * step_seconds
    assert resumed > KILLS / 4
    assert forker.run(project.path).status == 0
    assert bits(project) == expected


@pytest.mark.slow
def test_killed_at_every_change_of_the_disk_it_ends_with_the_same_bits(
    forker: Forker, project: Project
) -> None:
    """Mid-checkpoint, mid-snapshot, mid-export and while clearing up."""
    project.set(
        network__architecture="mlp",
        network__hidden_units=8,
        train__max_steps=3,
        train__snapshots=2,
        train__checkpoint_seconds=0,
    )
    fresh = forker.run(project.path)
    expected = bits(project)
    again = forker.run(project.path)  # outs that are there do not grow: fewer changes
    assert fresh.status == again.status == 0
    wrong = []
    for die_at in [*range(0, again.changes, 2), *range(1, fresh.changes, 2)]:
        if die_at % 2:
            for out in ("models", "reports"):
                shutil.rmtree(project.path / out)
        assert forker.run(project.path, die_at=die_at).status == -signal.SIGKILL
        status = forker.run(project.path).status
        if status != 0 or bits(project) != expected:
            wrong.append((die_at, status))
            for out in ("models", "reports", ".runs"):
                shutil.rmtree(project.path / out)
            assert forker.run(project.path).status == 0
    assert not wrong, f"killed at these of {fresh.changes} changes it ended wrongly, with status: {wrong}"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_seconds_in_one_line_with_the_state_of_that_step(
    forker: Forker, project: Project, whole: tuple[float, Bits], number: signal.Signals
) -> None:
    process = project.start("train")
    while not newest_state(project):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    sent = time.monotonic()
    output = process.communicate(timeout=30)[1]
    assert time.monotonic() - sent < 5
    assert process.returncode == 130
    assert "Traceback" not in output
    match = re.search(
        r"^train: interrupted after step (\d+); run the same command again to go on\n\Z", output, re.M
    )
    assert match
    assert newest_state(project) == int(match[1])
    end = forker.run(project.path)
    assert end.status == 0
    assert min(end.times) == int(match[1]) + 1
    assert bits(project) == whole[1]
