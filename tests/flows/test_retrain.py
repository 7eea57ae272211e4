"""Retraining through the real command, on small models under git and DVC."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.flows.harness import wait_for
from tests.flows.model_project import Model, make_model
from tests.forked_commands import Forked


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return make_model(tmp_path)


def last(output: str) -> str:
    return output.strip().splitlines()[-1]


def test_retrain_gate_promote_and_roll_back(model: Model, api: dict[str, str]) -> None:
    """The whole way: a first champion, a better one, a worse one refused, and back."""
    assert "promoted as v1.0.0, the first champion" in last(model.promote(**api))
    before = model.seen()

    output = model.retrain("-S", "train.epochs=20", **api)
    assert "promoted as v1.1.0, in the place of v1.0.0" in last(output)
    (branch,) = model.branches()
    assert re.fullmatch(r"retrain/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", branch)
    subject, _, body = model.git("log", "-1", "--format=%B", branch).partition("\n")
    assert subject == "retrain: train.epochs 10 → 20"
    assert "From main (" in body
    assert "fd_semantic 10 ± 0.98 → 5 ± 0.98" in body
    assert model.git("diff", "--name-only", "main", branch).splitlines() == [
        "dvc.lock",
        "params.yaml",
        "reports/metrics.json",
    ]
    changed = model.git("diff", "--unified=0", "main", branch, "--", "params.yaml").splitlines()[5:]
    comment = "# passes over the training images"
    assert [line.split(maxsplit=3) for line in changed] == [
        ["-", "epochs:", "10", comment],
        ["+", "epochs:", "20", comment],
    ]
    page = model.root / ".runs" / "reports" / branch.replace("/", "-") / "reports" / "index.html"
    assert page.read_text() == "<p>20"
    assert str(page.relative_to(model.root)) in output

    refused = model.retrain("-S", "train.epochs=5", status=3, **api)
    assert "refused: kernel distance, semantic: 0.2 against v1.1.0's 0.05" in last(refused)
    assert "FAILS  kernel distance, semantic" in refused
    assert len(model.branches()) == 2  # a revision all the same
    model.reproduce(branch, **api)  # the one that was promoted

    assert "the champion is model@v1.1.1" in last(model.promote("--rollback", **api))
    assert "the first model that was promoted" in last(model.promote("--rollback", status=1, **api))
    main = model.git("rev-parse", "main")
    assert model.git("rev-parse", "model@v1.1.1^{commit}") == main
    assert "Rollback: v1.0.0 again" in model.git("tag", "-n9", "--list", "model@v1.1.1")
    listed = model.promote("--list")
    assert [line.split()[0] for line in listed.splitlines()[:3]] == ["v1.0.0", "v1.1.0", "v1.1.1"]
    assert "identical" in model.reproduce("champion", "--stage", "evaluate", **api)

    after = model.seen()
    refs = {"refs"}
    assert {key: after.get(key) for key in before.keys() - refs} == {
        key: value for key, value in before.items() if key not in refs
    }
    assert all(str(model.root / ".dvc" / "cache") in key for key in after.keys() - before.keys())
    assert model.leftovers() == []


@pytest.mark.slow
def test_what_the_gate_asks_besides(model: Model, api: dict[str, str]) -> None:
    model.promote(**api)
    assert "v1.0.0 is this very model" in last(model.promote(status=3, **api))
    forced = model.promote("--regardless", "to see it", **api)
    assert "promoted as v1.1.0" in last(forced)
    assert "regardless (to see it) of: new: v1.0.0 is this very model" in last(forced)

    model.set(gate__min_recall=0.9)
    model.commit("ask for more")
    assert "recall: 0.6, wanted at least 0.9" in last(model.promote(status=3, **api))
    model.set(gate__min_recall=0.1, train__epochs=50)
    model.commit("not run")
    assert "recorded: recorded with another train.epochs" in last(model.promote(status=3, **api))
    model.git("rm", "-q", "dvc.lock")
    model.commit("no record")
    assert "has no dvc.lock" in last(model.promote(status=1, **api))


@pytest.mark.slow
def test_nothing_new_and_new_data(model: Model, api: dict[str, str]) -> None:
    output = model.retrain("--refresh-data", "--no-gate", **api)
    assert last(output) == "nothing new: dvc.lock is the same"
    assert model.branches() == []
    (model.source / "two.txt").write_text("two")
    assert last(model.retrain("--no-gate", **api)) == "nothing new: dvc.lock is the same"
    output = model.retrain("--refresh-data", "--no-gate", **api)
    (branch,) = model.branches()
    assert f"{branch}: data" in last(output)
    assert model.git("log", "-1", "--format=%s", branch).startswith("retrain: data")
    assert model.git("tag") == ""


@pytest.mark.slow
def test_the_checkout_stays_out_of_it(model: Model, api: dict[str, str]) -> None:
    """Uncommitted changes are said and left alone; a branch that moves meanwhile is said too."""
    model.set(train__epochs=99)
    process = model.begin("flows.retrain", "--no-gate", "-S", "train.seed=1", TOY_TRAIN="sleep 3", **api)
    wait_for(lambda: model.stages(), 60)
    model.git("commit", "-qm", "moved", "--allow-empty")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert "uncommitted changes in the checkout are no part of this: params.yaml" in output
    assert "main has moved since, by 1 commits" in output
    (branch,) = model.branches()
    assert "epochs: 10 " in model.git("show", f"{branch}:params.yaml")
    assert "epochs: 99 " in (model.root / "params.yaml").read_text()
    assert model.git("rev-parse", f"{branch}^") == model.git("rev-parse", "main~1")


def test_bad_input_is_one_line(model: Model, api: dict[str, str]) -> None:
    for arguments, message in (
        (["nonesuch"], "no tag, branch, commit"),
        (["-S", "train.epoch=1"], "train.epoch: unknown key"),
        (["-S", "train.epochs=many"], "main: params.yaml: train.epochs: 'many'"),
        (["-S", "train.epochs"], "not NAME=VALUE"),
        (["-S", "train.epochs=1", "-S", "train.epochs=2"], "stands twice"),
        (["champion"], "no champion yet"),
    ):
        assert message in last(model.retrain(*arguments, status=1, **api)), arguments
    assert model.branches() == []
    assert model.leftovers() == []
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    assert "PREFECT_API_URL: http://127.0.0.1:9/api: no server answers" in last(
        model.retrain(status=1, **nowhere)
    )
    assert "no Prefect server is configured" in last(model.run("flows.serve", status=1))
    assert "a number above 0" in last(model.retrain("--hours", "-1", status=2))


@pytest.mark.slow
def test_a_failed_stage_commits_nothing(model: Model, api: dict[str, str]) -> None:
    output = model.retrain("-S", "train.seed=1", status=1, TOY_EVALUATE="fail no room", **api)
    assert last(output) == "error: stage evaluate failed: no room"
    assert model.branches() == []
    assert model.leftovers() == []


@pytest.mark.slow
def test_too_long_is_stopped(model: Model, api: dict[str, str]) -> None:
    model.forks = False
    arguments = ["-S", "train.seed=1", "--hours", "0.001"]
    output = model.retrain(*arguments, status=1, TOY_TRAIN="sleep 100", **api)
    assert "stage train failed: stopped: more than 3.6 s" in last(output)
    assert model.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_goes_on_where_it_stopped(model: Model, api: dict[str, str], number: signal.Signals) -> None:
    model.forks = False
    arguments = ["--no-gate", "-S", "train.seed=1"]
    process = model.begin("flows.retrain", *arguments, TOY_TRAIN="steps 400", **api)
    state = model.root / ".runs" / "states" / "retrain" / "train-toy.json"
    wait_for(lambda: state.exists() and len(state.read_text()) > 10, 60)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=40)
    wait_for(lambda: not model.stages(), 20)
    done = len(json.loads(state.read_text()))
    assert process.returncode == (-9 if number is signal.SIGKILL else 128 + number), output
    output = model.retrain(*arguments, TOY_TRAIN="steps 8", **api)
    first = re.search(r"step (\d+)/", output)
    assert first is None if done >= 8 else first and int(first[1]) == done + 1
    assert len(model.branches()) == 1
    assert model.leftovers() == []


@pytest.mark.slow
def test_two_at_once_go_one_after_the_other(model: Model, api: dict[str, str]) -> None:
    first = model.begin("flows.retrain", "--no-gate", "-S", "train.seed=1", TOY_TRAIN="steps 20", **api)
    wait_for(lambda: model.stages(), 60)
    output = model.retrain("--no-gate", "-S", "train.seed=2", **api)
    assert f"waits its turn: process {first.pid} at work here" in output
    assert first.wait(30) == 0
    assert len(model.branches()) == 2
    assert model.leftovers() == []


def test_a_download_is_tried_again_and_a_refusal_is_not(model: Model, tmp_path: Path) -> None:
    from flows.judge.stage_outcomes import StageFailed
    from flows.system.processes import Commands
    from flows.system.variables import environment
    from flows.tasks.stage_tasks import FORCE, reproduce_stage

    tries = tmp_path / "tries"
    variables = environment(model.root, model.environment(TOY_DOWNLOAD=f"unreachable 2 {tries}"))
    result = reproduce_stage.fn(Commands(model.root, variables), model.root, "download", FORCE, (0.1, 0.1))
    assert (result.outcome, tries.read_text()) == ("ran", "xxx")
    tries.unlink()
    with pytest.raises(StageFailed, match="no download"):
        reproduce_stage.fn(Commands(model.root, variables), model.root, "download", FORCE, (0.1,))
    assert tries.read_text() == "xx"
    ran = tmp_path / "ran"
    variables = environment(model.root, model.environment(TOY_DOWNLOAD="fail wrong bytes", TOY_RAN=str(ran)))
    started = time.monotonic()
    with pytest.raises(StageFailed, match="wrong bytes"):
        reproduce_stage.fn(Commands(model.root, variables), model.root, "download", FORCE, (60,))
    assert time.monotonic() - started < 30
    assert len(ran.read_text().splitlines()) == 1


@pytest.mark.slow
def test_remote_down_loses_nothing(model: Model, api: dict[str, str], tmp_path: Path) -> None:
    """The run fails and says how to push later; the branch is there, and another clone can have it then."""
    store = tmp_path / "store"
    store.write_text("not a folder")
    model.dvc("remote", "add", "-d", "store", str(store))
    model.commit("a remote")
    output = model.retrain("--no-gate", "-S", "train.seed=1", "--delays", "0.1,0.1", status=1, **api)
    (branch,) = model.branches()
    assert "nothing is lost" in last(output)
    assert f"python -m flows.push {branch}" in last(output)
    assert output.count("tried again in") == 2
    store.unlink()
    assert "objects pushed" in model.run("flows.push", branch)
    assert last(model.run("flows.push", branch)) == "the remote has all of it"
    assert any(store.rglob("*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system of our own here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, room: int) -> Path:
    """Fill a file system but for ``room`` bytes; return the file that does."""
    ballast = folder / "ballast"
    with suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    os.truncate(ballast, max(0, ballast.stat().st_size - room))
    return ballast


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 40_000, 120_000, 250_000, 400_000])
def test_a_full_disk_loses_nothing(small_disk: Path, tmp_path: Path, api: dict[str, str], room: int) -> None:
    """The run fails in one line that names the place, the checkout is whole, and with room it goes on.

    How much room there is decides what fails: the worktree, DVC's database, an out, the cache, a report.
    """
    model = make_model(small_disk)
    looked_at = ("--no-optional-locks", "status", "--porcelain"), ("for-each-ref",)  # which writes nothing
    before = [model.git(*command) for command in looked_at]
    ballast = fill(small_disk, room)
    changed = ("--no-gate", "-S", "train.seed=1")
    variables = model.environment(PREFECT_HOME=str(tmp_path), **api)
    process = Forked("flows.retrain", changed, model.root, variables)
    output = process.communicate(timeout=170)[0]
    if process.returncode:
        assert "Traceback" not in output, output
        assert "No space left on device" in last(output) and len(last(output)) < 400, output
        assert [model.git(*command) for command in looked_at] == before
    else:
        assert room > 200_000, output  # then it was enough
    ballast.unlink()
    model.retrain(*changed, PREFECT_HOME=str(tmp_path), **api)
    assert len(model.branches()) == 1
    assert model.leftovers() == []


@pytest.mark.slow
def test_a_full_disk_below_prefects_database_is_one_line(small_disk: Path, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    ballast = fill(small_disk, 0)
    changed = ("--no-gate", "-S", "train.seed=1")
    output = model.retrain(*changed, status=1, PREFECT_HOME=str(small_disk / "prefect"))
    assert "Traceback" not in output, output
    assert str(small_disk) in last(output) and "No space left on device" in last(output), output
    ballast.unlink()
    model.retrain(*changed, PREFECT_HOME=str(small_disk / "prefect"))
    assert len(model.branches()) == 1
