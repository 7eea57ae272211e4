"""What nothing needs is told from what somebody may need."""

import os
import time
from pathlib import Path

import pytest

from flows.repo.git import Git
from flows.repo.leftovers import leftovers
from flows.system import pinned_environments
from tests.flows.experiment import git


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "requirements.txt").write_text("one==1\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    for day in range(1, 7):
        git(tmp_path, "switch", "-qc", f"retrain/{day}", "main")
        git(tmp_path, "commit", "-qm", f"run {day}", "--allow-empty")
        (tmp_path / ".runs" / "reports" / f"retrain-{day}").mkdir(parents=True)
        (tmp_path / ".runs" / "reports" / f"retrain-{day}" / "page.html").write_text("x" * 1000)
    git(tmp_path, "tag", "-am", "v", "model@v1.0.0", "retrain/1")
    git(tmp_path, "update-ref", "refs/remotes/origin/retrain/2", "retrain/2")
    git(tmp_path, "switch", "-q", "main")
    git(tmp_path, "merge", "-q", "--ff-only", "retrain/3")
    return Git(tmp_path)


def test_branches_and_reports(repository: Git) -> None:
    rows = leftovers(repository, 2, 30)  # 5 and 6 are the newest; 1 is tagged, 2 pushed, 3 merged
    assert [(row.kind, row.name) for row in rows] == [
        ("branch", "retrain/4"),
        ("report", "retrain-4"),
        ("report", "retrain-3"),
        ("report", "retrain-2"),
        ("report", "retrain-1"),
    ]
    assert {row.size for row in rows} == {0, 1000}
    for row in rows:
        row.remove()
    assert leftovers(repository, 2, 30) == []
    left = git(repository.root, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").splitlines()
    assert left == ["main", "retrain/1", "retrain/2", "retrain/3", "retrain/5", "retrain/6"]


def test_environments_and_states(repository: Git) -> None:
    runs = repository.root / ".runs"
    key = pinned_environments.key(b"one==1\n")
    for name in (key, "another"):
        (runs / "environments" / name).mkdir(parents=True)
    old, new = runs / "states" / "sweep-1" / "train-a", runs / "states" / "sweep-2" / "train-b"
    for path in (old, new):
        path.mkdir(parents=True)
    os.utime(old, (time.time() - 40 * 24 * 3600,) * 2)
    rows = leftovers(repository, 100, 30)
    assert [(row.kind, row.name) for row in rows] == [("state", "train-a"), ("environment", "another")]
