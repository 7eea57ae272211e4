"""When two records are the same: by what dvc.lock holds, not by where its lines break."""

from pathlib import Path

import pytest

from flows.repo import commit
from flows.repo.git import Git
from tests.flows.experiment import git

LOCK = "stages:\n  a:\n    cmd: x\n    params:\n      params.yaml:\n        data.source: {}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    git(tmp_path, "init", "-q", "-b", "main")
    record(tmp_path, LOCK.format("/a long/path"))
    return Git(tmp_path)


def record(root: Path, text: str) -> str:
    (root / "dvc.lock").write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a record")
    return git(root, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (LOCK.format("\n          /a long/path"), True),  # as DVC folds it
        (LOCK.format("/a\n          long/path"), True),
        (LOCK.format("'/a  long/path'"), False),
        (LOCK.format("/a long/path2"), False),
        (LOCK.format("/a long/path").replace("    params:", "  params:"), False),
        ("stages: [", False),
    ],
)
def test_the_same_in_other_lines_is_nothing_new(repository: Git, text: str, same: bool) -> None:
    base = repository.resolve("main").commit
    git(repository.root, "branch", "-q", "retrain/1")
    new = record(repository.root, text)
    assert commit.differs(repository, base, new) == (not same)
    assert commit.twin(repository, "refs/heads/retrain", new) == ("retrain/1" if same else None)


def test_no_record(repository: Git) -> None:
    base = repository.resolve("main").commit
    git(repository.root, "rm", "-q", "dvc.lock")
    git(repository.root, "commit", "-qm", "none")
    without = repository.resolve("main").commit
    assert commit.differs(repository, base, without)
    assert not commit.differs(repository, without, without)
