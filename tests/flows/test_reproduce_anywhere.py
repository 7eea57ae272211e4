"""Rebuilding whatever the name, the repository, and the moment at which it is killed."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.repo.git import Git
from flows.repo.worktree import worktree
from gan.errors import UserError
from tests.flows.experiment import Experiment, git, make_experiment
from tests.flows.harness import wait_for


@pytest.mark.slow
def test_names(experiment: Experiment, api: dict[str, str], tmp_path: Path) -> None:
    first = experiment.git("rev-parse", "HEAD")
    experiment.params(train__threads=3)
    second = experiment.record("second")
    experiment.git("tag", "model@v1.0.0", first)
    experiment.git("tag", "-a", "-m", "with a message", "noted", first)
    experiment.git("tag", "twin", first)
    experiment.git("branch", "twin", second)
    experiment.git("update-ref", "refs/heads/--upload-pack=x", first)
    experiment.dvc("exp", "run", "-q", "-n", "tried", "-S", "params.json:train.threads=5")
    tried = experiment.git("for-each-ref", "--format=%(objectname)", "refs/exps/*/*/tried")
    experiment.git("checkout", "-q", "--force", "main")
    repository = Git(experiment.root)
    resolved = {
        "v1.0.0": first,  # as promoted
        "model@v1.0.0": first,
        "noted": first,
        "twin": first,  # the tag, as for git
        "HEAD@{1}": experiment.git("rev-parse", "HEAD@{1}"),
        ":/first": first,
        "tried": tried,
        second[:8]: second,
        "--upload-pack=x": first,  # a branch may be called so
    }
    assert {name: repository.resolve(name).commit for name in resolved} == resolved
    assert repository.resolve("twin").note == "it is the tag, as for git; refs/heads/twin is the branch"
    experiment.git("tag", "other@v1.0.0", second)
    touched = tmp_path / "touched"
    refused = ["v1.0.0", ";rm", f"$(touch {touched})", f"; touch {touched}", "-c", "--output=x"]
    for name in [*refused, "HEAD:dvc.yaml", "HEAD..main", "", "a\nb", "a\0b"]:
        with pytest.raises(UserError) as caught:
            repository.resolve(name)
        assert "\n" not in str(caught.value)

    output = experiment.reproduce("--trust-cache", "--", "tried", "--upload-pack=x", **api)
    assert output.count(": identical") == 4  # as each ends, and all at the end
    for arguments, status in (("--upload-pack=y",), 2), (("-c",), 2), (("--", f"; touch {touched}"), 1):
        lines = experiment.reproduce(*arguments, status=status, **api).strip().splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
    assert not touched.exists()
    assert experiment.leftovers() == []


@pytest.mark.slow
def test_hooks_of_the_repository_do_not_run(
    experiment: Experiment, api: dict[str, str], tmp_path: Path
) -> None:
    hook = experiment.root / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    experiment.reproduce("HEAD", "--trust-cache", **api)
    assert not (tmp_path / "hooked").exists()


def test_a_revision_without_a_record(experiment: Experiment, api: dict[str, str]) -> None:
    experiment.git("rm", "-q", "dvc.lock")
    commit = experiment.commit("no record")
    lines = experiment.reproduce("HEAD", status=1, **api).strip().splitlines()
    assert lines == [
        f"error: HEAD ({commit[:10]}): has no dvc.lock, so there is nothing recorded to compare with; "
        "`python -m flows.history` lists the revisions that have"
    ]


def kill_at(experiment: Experiment, seconds: float, api: dict[str, str]) -> bool:
    """Start a rebuild and kill it with -9 after so long; say whether it was still at it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.reproduce", "HEAD"],
        cwd=experiment.root,
        env=experiment.environment(TOY_TRAIN="sleep 3", **api),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    alive = process.poll() is None
    process.kill()
    process.wait()
    return alive


@pytest.mark.slow
def test_kill_9_leaves_nothing_after_the_next_call(experiment: Experiment, api: dict[str, str]) -> None:
    before = experiment.seen()
    rng = random.Random(0)
    killed = [kill_at(experiment, rng.uniform(2, 9), api) for _ in range(2)]
    assert any(killed)
    assert experiment.seen() | {"worktrees": ""} == before | {"worktrees": ""}
    wait_for(lambda: not experiment.below(), 30)
    experiment.reproduce("HEAD", **api)
    assert experiment.leftovers() == []
    assert experiment.seen() == before


@pytest.mark.slow
def test_sigterm_leaves_nothing_at_once(experiment: Experiment, api: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.reproduce", "HEAD"],
        cwd=experiment.root,
        env=experiment.environment(TOY_TRAIN="sleep 60", TOY_RAN=str(experiment.root.parent / "ran"), **api),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = experiment.root.parent / "ran"
    wait_for(lambda: log.exists() and "train" in log.read_text(), 60)
    second = experiment.reproduce("HEAD", status=1, **api).strip().splitlines()[-1]
    assert f"process {process.pid} is already at it here" in second
    process.terminate()
    assert process.wait(40) == 128 + signal.SIGTERM
    assert experiment.leftovers() == []


def test_what_a_killed_git_leaves_half_made_is_removed(experiment: Experiment, api: dict[str, str]) -> None:
    """Git marks a worktree as locked while it makes it, and then neither `remove` nor `prune` takes it."""
    with worktree(Git(experiment.root), "HEAD", "reproduce") as tree:
        name = tree.name
    records = experiment.root / ".git" / "worktrees"
    for state in ("locked", "no gitdir", "no folder"):
        (records / name).mkdir(parents=True)
        if state != "no gitdir":
            (records / name / "gitdir").write_text(f"{tree}/.git\n")
        if state != "no folder":
            tree.mkdir(parents=True)
            (tree / "half").write_text("made")
        (records / name / "locked").write_text("initializing")
        (records / name / "index.lock").write_text("")
        with worktree(Git(experiment.root), "HEAD", "reproduce") as tree:
            assert (tree / "dvc.yaml").exists()
            assert not (tree / "half").exists()
        assert experiment.leftovers() == []


@pytest.mark.slow
def test_in_a_hook_of_git(experiment: Experiment, api: dict[str, str]) -> None:
    """Git sets GIT_DIR and its like for hooks; they must not point the rebuild at the wrong place."""
    variables = {
        "GIT_DIR": str(experiment.root / ".git"),
        "GIT_INDEX_FILE": str(experiment.root / ".git/index"),
    }
    before = experiment.seen()
    experiment.reproduce("HEAD", **api, **variables)
    assert experiment.seen() == before


@pytest.mark.slow
def test_a_source_named_by_a_relative_path(experiment: Experiment, api: dict[str, str]) -> None:
    """It is relative to the checkout, though stages run in a worktree below it."""
    experiment.params(data__source="../photos")
    commit = experiment.record("a relative path")
    experiment.reproduce("HEAD", **api)
    assert experiment.verdict(commit)["verdict"] == "identical"


@pytest.mark.slow
def test_a_project_below_the_root_of_its_repository(tmp_path: Path, api: dict[str, str]) -> None:
    experiment = make_experiment(tmp_path)
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.rmtree(experiment.root / ".git")
    shutil.copytree(experiment.root, whole / "part", symlinks=True)
    git(whole, "init", "-q")
    shutil.rmtree(whole / "part" / ".dvc" / "tmp", ignore_errors=True)
    experiment.root = whole / "part"
    experiment.dvc("config", "-q", "core.analytics", "false")
    git(whole, "add", "-A")
    git(whole, "commit", "-qm", "a part of a whole")
    assert "identical" in experiment.reproduce("HEAD", **api)
    assert list((whole / "part" / ".runs" / "worktrees").iterdir()) == []
