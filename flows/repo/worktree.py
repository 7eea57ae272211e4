"""A temporary checkout of another revision beside the user's checkout, which is not changed."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.repo import checkout, dvc_graph
from flows.repo.git import Git
from gan.files import RUNS, naming, run_lock


@contextmanager
def worktree(git: Git, commit: str, purpose: str, runs: Path | None = None) -> Iterator[Path]:
    """Check a commit out into a worktree for the block; yield the folder there that matches ``git.root``.

    There is one worktree per checkout and purpose at a time. Leftovers of a killed process are removed
    first. DVC in the worktree uses the cache of the user's checkout. ``runs``: a folder that becomes .runs
    there and is kept, so that a stopped training resumes. Raises UserError if another process uses the
    worktree, or if git fails.
    """
    # Git's record of a worktree has the name of its folder: this checkout's own.
    checkout_hash = hashlib.sha256(os.fsencode(git.root)).hexdigest()[:8]
    folder = git.root / RUNS / "worktrees" / f"ganflow-{purpose}-{checkout_hash}"
    with run_lock(checkout.lock_name(git.root, purpose)):
        remove(git, folder)
        try:
            add = ("worktree", "add", "--detach", "--quiet", os.fspath(folder), commit)
            git.must(*add, what="worktree add")
            root = folder / (git.ask("rev-parse", "--show-prefix") or "")
            if (root / ".dvc").is_dir():
                _share_cache(git.root, root)
            if runs is not None:
                runs.mkdir(parents=True, exist_ok=True)
                (root / RUNS).symlink_to(runs, target_is_directory=True)
            yield root
        finally:
            remove(git, folder)


def _share_cache(source: Path, target: Path) -> None:
    """Make DVC in ``target`` use the cache of ``source``, with the same link types and permissions."""
    dvc_graph.configure(target, {"cache": dvc_graph.cache_settings(source)})


def remove(git: Git, folder: Path) -> None:
    """Remove a worktree and git's record of it, also if a kill left only part of them.

    `git worktree remove` and `prune` refuse what a killed `git worktree add` leaves.
    """
    common = git.ask("rev-parse", "--path-format=absolute", "--git-common-dir")
    records = Path(common or "", "worktrees")
    with naming(folder):
        if folder.exists():
            shutil.rmtree(folder)
        for record in records.glob(f"{folder.name}*"):
            shutil.rmtree(record)
