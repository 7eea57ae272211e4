"""The figures by which an evaluation ended: in a commit, and in a folder."""

from collections.abc import Sequence
from pathlib import Path

from flows.repo.git import Git
from gan import paths

# The first that there is holds all figures. Before evaluation.json, metrics.json did.
FILES = (str(paths.EVALUATION), str(paths.METRICS))


def of(git: Git, commits: Sequence[str]) -> dict[str, bytes]:
    """Return the file's bytes for each commit that has one, in one git call."""
    texts = git.blobs((commit, path) for path in reversed(FILES) for commit in commits)
    return {commit: text for (commit, _), text in texts.items()}  # the first of FILES comes last, and stays


def at(git: Git, commit: str) -> bytes | None:
    """Return the file's bytes at a commit; None if it has none."""
    return of(git, [commit]).get(commit)


def in_folder(folder: Path) -> Path | None:
    """Return the file of a checkout; None if it has none."""
    return next((folder / path for path in FILES if (folder / path).is_file()), None)


def read(folder: Path) -> bytes | None:
    """Return the file's bytes in a checkout; None if it has none."""
    path = in_folder(folder)
    return None if path is None else path.read_bytes()
