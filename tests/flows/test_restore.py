"""What the cache lost or spoiled is made again, held to its hash, and put back."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.judge.stage_outcomes import RAN, Outcome
from flows.repo import cache_objects
from flows.repo.git import Git
from flows.repo.worktree import worktree
from flows.system.variables import environment
from flows.tasks.rebuild import Rebuild, recorded
from tests.flows.experiment import Experiment


def rebuilt(experiment: Experiment) -> int:
    """Do what `flows.reproduce HEAD --restore` does, without Prefect."""
    git = Git(experiment.root)
    revision = git.resolve("HEAD")
    with worktree(git, revision.commit, "reproduce") as tree:
        rebuild = Rebuild(git, revision, recorded(git, revision), tree)
        rebuild.bring(["data/fixed.dvc"], all_of_them=True)
        argv = [sys.executable, "-m", "dvc", "repro", "-q", "--force", "--no-commit", "--no-run-cache"]
        subprocess.run(argv, cwd=tree, env=environment(tree, experiment.environment()), check=True)
        outputs, _ = rebuild.judge([Outcome(name, RAN) for name in rebuild.record.stages], None)
        return rebuild.restore(outputs)


@pytest.mark.slow
def test_lost_and_corrupt_objects_come_back(experiment: Experiment) -> None:
    cache = experiment.root / ".dvc" / "cache"
    git = Git(experiment.root)
    outputs = recorded(git, git.resolve("HEAD")).outputs()
    wanted = {path: md5 for path, (_, md5) in outputs.items() if path != "reports/metrics.json"}
    assert cache_objects.check(cache, wanted) == []
    assert rebuilt(experiment) == 0
    log = cache_objects.listing(cache, wanted["models/log"])
    assert log is not None
    spoiled = cache_objects.object_path(cache, log["b.txt"])
    spoiled.chmod(0o644)
    spoiled.write_text("another")
    cache_objects.object_path(cache, wanted["models/final.bin"]).unlink()
    cache_objects.object_path(cache, wanted["data/raw"]).unlink()
    assert len(cache_objects.check(cache, wanted)) == 3
    assert rebuilt(experiment) == 3
    assert cache_objects.check(cache, wanted) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_advice_of_verify_and_promote_works(
    experiment: Experiment, api: dict[str, str], tmp_path: Path
) -> None:
    cache = experiment.root / ".dvc" / "cache"
    git = Git(experiment.root)
    md5 = recorded(git, git.resolve("HEAD")).outputs()["models/final.bin"][1]
    path = cache_objects.object_path(cache, md5)
    path.chmod(0o644)
    path.write_text("another")
    output = experiment.run("flows.verify", "main", status=1)
    assert "`python -m flows.reproduce main --restore` makes it anew" in output
    assert "restored 1 objects" in experiment.run("flows.reproduce", "main", "--restore", **api)
    assert "whole in the cache" in experiment.run("flows.verify", "main")
