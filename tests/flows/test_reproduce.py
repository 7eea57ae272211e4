"""Rebuilding revisions with the real command, over real git and DVC repositories."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.experiment import MACHINE, Experiment, git, make_experiment


def differences(verdict: dict) -> list[tuple[str, str]]:
    return [(row["stage"], row["kind"]) for row in verdict["differences"]]


def test_same_bits_and_nothing_is_touched(experiment: Experiment, api: dict[str, str]) -> None:
    commit = experiment.git("rev-parse", "HEAD")
    experiment.git("checkout", "-q", "--detach")
    (experiment.root / "fake_stage.py").write_text("broken(")  # uncommitted changes have no part in it
    (experiment.root / "new.txt").write_text("not added")
    before, log = experiment.seen(), experiment.root.parent / "ran"
    output = experiment.reproduce("HEAD", TOY_RAN=str(log), **api)
    assert log.read_text().split() == ["download", "train", "evaluate"]  # again, for all that the cache has
    assert experiment.seen() == before
    verdict = experiment.verdict(commit)
    assert verdict["verdict"] == "identical"
    assert {row["verdict"] for row in verdict["outputs"]} == {"identical"}
    assert len(verdict["outputs"]) == 4
    assert verdict["differences"] == []
    assert f"{commit[:10]} HEAD: identical (4 identical)" in output
    assert experiment.leftovers() == []


def test_a_byte_of_data(experiment: Experiment, api: dict[str, str]) -> None:
    (experiment.source / "two.txt").write_text("twotwoTwo")
    output = experiment.reproduce("main", status=4, **api)
    verdict = experiment.verdict(experiment.git("rev-parse", "HEAD"))
    assert (verdict["verdict"], verdict["stage"]) == ("different", "download")
    assert ("download", "data") in differences(verdict)
    raw = next(row for row in verdict["outputs"] if row["path"] == "data/raw")
    assert "files/two.txt differs" in raw["note"]
    assert "files/one.txt" not in raw["note"]
    assert "files/two.txt differs" in output


@pytest.mark.slow
def test_a_byte_of_added_data(experiment: Experiment, api: dict[str, str]) -> None:
    (experiment.root / "data" / "fixed" / "extra.txt").write_text("Added by hand")
    experiment.dvc("add", "-q", "data/fixed")
    commit = experiment.commit("data changed, nothing was run")
    experiment.reproduce("HEAD", status=4, **api)
    verdict = experiment.verdict(commit)
    assert verdict["stage"] == "train"
    assert differences(verdict) == [("train", "data")]
    assert "data/fixed" in verdict["differences"][0]["what"]


@pytest.mark.slow
def test_a_param_and_the_thread_count_is_one(experiment: Experiment, api: dict[str, str]) -> None:
    experiment.params(train__threads=1)
    commit = experiment.commit("one thread, nothing was run")
    experiment.reproduce("HEAD", status=4, **api)
    verdict = experiment.verdict(commit)
    assert (verdict["verdict"], verdict["stage"]) == ("different", "train")
    assert differences(verdict) == [("train", "param")]
    assert verdict["differences"][0]["what"] == "train.threads: 2 recorded, 1 at this revision"
    assert {row["stage"] for row in verdict["outputs"] if row["verdict"] == "identical"} == {"download"}


@pytest.mark.slow
def test_a_line_of_code(experiment: Experiment, api: dict[str, str]) -> None:
    code = experiment.root / "fake_stage.py"
    code.write_text(code.read_text().replace("LAYERS = 4", "LAYERS = 5"))
    commit = experiment.commit("another layer, nothing was run")
    output = experiment.reproduce("HEAD", status=4, **api)
    verdict = experiment.verdict(commit)
    assert verdict["stage"] == "train"
    assert differences(verdict) == [("train", "code")]
    assert f"last changed in {commit[:7]} another layer" in output


@pytest.mark.slow
def test_code_that_changes_nothing_is_named_and_the_bits_are_the_same(
    experiment: Experiment, api: dict[str, str]
) -> None:
    with open(experiment.root / "fake_stage.py", "a") as file:
        file.write("# a remark\n")
    commit = experiment.commit("a remark")
    experiment.reproduce("HEAD", **api)
    verdict = experiment.verdict(commit)
    assert verdict["verdict"] == "identical"
    assert differences(verdict) == [("train", "code")]


@pytest.mark.slow
def test_the_environment_of_the_revision(tmp_path: Path, api: dict[str, str]) -> None:
    experiment = make_experiment(tmp_path)
    (experiment.root / "requirements.txt").write_text("toything==1.0\n")
    experiment.params(train__package=True)
    old = tmp_path / "installed"
    for version in ("1.0", "2.0"):
        local = ["--offline", "--no-index", "--find-links", str(experiment.wheels)]
        install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--target", str(old / version)]
        subprocess.run([*install, *local, f"toything=={version}"], check=True)
    commit = experiment.record("with toything 1.0", PYTHONPATH=str(old / "1.0"))

    first = experiment.reproduce("HEAD", **api)  # it is not installed here: an environment is made
    assert experiment.verdict(commit)["verdict"] == "identical"
    assert "its own, by its requirements.txt (1 packages differ from today's)" in first
    assert "making the environment" in first
    assert "making the environment" not in experiment.reproduce("HEAD", **api)  # it is kept

    today = {**api, "PYTHONPATH": str(old / "2.0")}
    output = experiment.reproduce("HEAD", "--same-environment", status=4, **today)
    verdict = experiment.verdict(commit)
    assert (verdict["stage"], differences(verdict)) == ("train", [("train", "environment")])
    assert "toything: 1.0 pinned at this revision, 2.0 here" in output

    (experiment.root / "requirements.txt").write_text("toything==2.0\n")
    commit = experiment.commit("toything 2.0, nothing was run")
    output = experiment.reproduce("HEAD", status=4, **api)
    assert experiment.verdict(commit)["stage"] == "train"
    assert "toything: 1.0 when dvc.lock was recorded" in output

    (experiment.root / "requirements.txt").write_text("toything==3.0\n")
    experiment.commit("a version that nobody has")
    message = experiment.reproduce("HEAD", status=1, **api).strip().splitlines()[-1]
    assert message.startswith("error: the environment of this revision's requirements.txt could not be made")
    assert "--same-environment" in message
    assert experiment.leftovers() == []


@pytest.mark.slow
def test_other_hardware(tmp_path: Path, api: dict[str, str]) -> None:
    experiment = make_experiment(tmp_path, train__machine=MACHINE)
    commit = experiment.git("rev-parse", "HEAD")
    other = {**api, "TOY_MACHINE": json.dumps(MACHINE | {"processor": "another kind"})}
    output = experiment.reproduce("HEAD", status=3, TOY_NOISE="0.5", **other)
    verdict = experiment.verdict(commit)
    assert (verdict["verdict"], verdict["stage"]) == ("within tolerance", "train")
    kinds = {row["path"]: row["verdict"] for row in verdict["outputs"]}
    assert kinds["reports/metrics.json"] == "within tolerance"
    assert kinds["models/final.bin"] == "different"
    notes = {row["path"]: row["note"] for row in verdict["outputs"]}
    assert notes["reports/metrics.json"] == "fd_semantic 64.0 -> 64.5"
    assert "processor: one kind recorded, another kind here" in output
    experiment.reproduce("HEAD", "--tolerance", "0.001", status=4, TOY_NOISE="0.5", **other)
    # On the same hardware bits must be equal, however close the metrics are.
    experiment.reproduce("HEAD", status=4, TOY_NOISE="0.5", **api)
    assert differences(experiment.verdict(commit)) == [("train", "unknown")]


@pytest.mark.slow
def test_a_stage_that_fails(experiment: Experiment, api: dict[str, str]) -> None:
    output = experiment.reproduce("HEAD", status=1, TOY_TRAIN="fail no room", **api)
    verdict = experiment.verdict(experiment.git("rev-parse", "HEAD"))
    assert (verdict["verdict"], verdict["stage"]) == ("failed", "train")
    made = {row["path"]: row["verdict"] for row in verdict["outputs"]}
    assert made["data/raw"] == "identical"
    assert made["models/final.bin"] == made["reports/metrics.json"] == "not made"
    assert "no room" in output
    assert experiment.leftovers() == []


@pytest.mark.slow
def test_from_a_stage_on(experiment: Experiment, api: dict[str, str], tmp_path: Path) -> None:
    shutil.rmtree(experiment.source)  # it cannot be downloaded again
    output = experiment.reproduce("HEAD", status=1, **api)
    failed = "error: HEAD: stage download failed: no such folder; "
    assert output.strip().splitlines()[-1] == failed + "--stage NAME starts later, from what is recorded"
    log = tmp_path / "ran"
    experiment.reproduce("HEAD", "--stage", "train", TOY_RAN=str(log), **api)
    assert log.read_text().split() == ["train", "evaluate"]
    message = experiment.reproduce("HEAD", "--stage", "fit", status=1, **api).strip().splitlines()[-1]
    assert message == "error: no stage fit in dvc.yaml at HEAD; there are download, train, evaluate"

    cache = experiment.root / ".dvc" / "cache"
    for path in sorted((cache / "files").rglob("*")):
        if path.is_file() and path.read_bytes() == b"twotwotwo":
            path.chmod(0o644)
            path.write_bytes(b"twotwOtwo")
            break
    message = experiment.reproduce("HEAD", "--stage", "train", status=1, **api).strip().splitlines()[-1]
    assert "not what was recorded: data/raw/files/two.txt (corrupt: " in message
    assert str(path) in message
    message = experiment.run("flows.verify", status=1)
    assert f"corrupt  data/raw/files/two.txt  {path}" in message

    path.unlink()
    message = experiment.reproduce("HEAD", "--stage", "train", status=1, **api).strip().splitlines()[-1]
    assert (
        "neither in the cache nor in the remote (no DVC remote is configured): data/raw/files/two" in message
    )
    assert experiment.leftovers() == []


@pytest.mark.slow
def test_trusting_the_cache_and_keeping_what_was_rebuilt(
    experiment: Experiment, api: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "ran"
    experiment.reproduce("HEAD", "--trust-cache", TOY_RAN=str(log), **api)
    assert not log.exists()
    verdict = experiment.verdict(experiment.git("rev-parse", "HEAD"))
    assert verdict["verdict"] == "identical"
    assert set(verdict["stages"].values()) == {"unchanged"}
    experiment.reproduce("HEAD", "--keep", str(tmp_path / "kept"), **api)
    for name in ("models/final.bin", "reports/metrics.json"):
        assert (tmp_path / "kept" / name).read_bytes() == (experiment.root / name).read_bytes()
    assert (tmp_path / "kept" / "verdict.md").exists()
    output = experiment.reproduce("HEAD", "--keep", str(tmp_path / "kept"), status=1, **api)
    assert output.strip().splitlines()[-1].endswith("is not empty; name a new folder")


@pytest.mark.slow
def test_before_a_stage_existed_and_since_one_was_renamed(
    experiment: Experiment, api: dict[str, str]
) -> None:
    first = experiment.git("rev-parse", "HEAD")
    text = (experiment.root / "dvc.yaml").read_text()
    (experiment.root / "dvc.yaml").write_text(text.replace("  train:\n", "  fit:\n"))
    renamed = experiment.commit("train is called fit now; dvc.lock still says train")
    experiment.record("and that was recorded")
    (experiment.root / "dvc.yaml").write_text(text + "  last:\n    cmd: echo > last\n    outs: [last]\n")
    later = experiment.commit("a stage that nobody ran")
    output = experiment.reproduce(first, renamed, later, **api)
    assert [experiment.verdict(commit)["verdict"] for commit in (first, renamed, later)] == ["identical"] * 3
    rows = {row["path"]: row for row in experiment.verdict(renamed)["outputs"]}
    assert rows["models/final.bin"]["note"] == "recorded for stage train"
    assert {row["path"] for row in experiment.verdict(first)["outputs"]}.isdisjoint({"last"})
    rows = {row["path"]: row for row in experiment.verdict(later)["outputs"]}
    assert rows["last"]["verdict"] == "not recorded"
    message = experiment.reproduce(later, "--stage", "last", status=1, **api).strip().splitlines()[-1]
    assert message.endswith("nothing that ran is recorded in its dvc.lock: nothing to compare")
    assert output.count(": identical") >= 6


@pytest.mark.slow
def test_a_shallow_clone_without_a_cache(experiment: Experiment, api: dict[str, str], tmp_path: Path) -> None:
    experiment.params(train__threads=3)
    experiment.record("second")
    experiment.git("rm", "-q", "data/fixed.dvc")
    shutil.rmtree(experiment.root / "data" / "fixed")
    text = (experiment.root / "dvc.yaml").read_text()
    (experiment.root / "dvc.yaml").write_text(text.replace(", data/fixed]", "]"))
    experiment.params(train__threads=4)
    experiment.record("without the data added by hand")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{experiment.root}", str(clone))
    output = experiment.run("flows.reproduce", "HEAD", cwd=clone, **api)
    assert "identical" in output
    error = experiment.run("flows.reproduce", "HEAD~1", cwd=clone, status=1, **api).strip()
    assert "this clone is shallow, `git fetch --unshallow` brings the rest" in error.splitlines()[-1]
    error = experiment.run("flows.reproduce", "HEAD", "--stage", "train", cwd=clone, status=1, **api)
    assert "neither in the cache nor in the remote" in error.strip().splitlines()[-1]
