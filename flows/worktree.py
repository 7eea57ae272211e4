"""A checkout of another revision beside the user's own, which stays as it is."""

import configparser
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import graph, places
from flows.git import Git
from gan.errors import UserError
from gan.files import RUNS, naming, run_lock


@contextmanager
def worktree(git: Git, commit: str, purpose: str, runs: Path | None = None) -> Iterator[Path]:
    """Check a commit out into a folder of its own for the block; yield what is ``git.root`` there.

    One a purpose and checkout at a time. What a killed process left behind is removed first. DVC there
    uses the cache of the user's checkout. ``runs``: a folder to have as .runs there, which stays: a
    training that was stopped goes on from it. Raises UserError when another process is at it, or git does
    not let us.
    """
    # Git's record of a worktree has the name of its folder: this checkout's own.
    own = hashlib.sha256(os.fsencode(git.root)).hexdigest()[:8]
    folder = git.root / RUNS / "worktrees" / f"ganflow-{purpose}-{own}"
    with run_lock(places.lock_name(git.root, purpose)):
        _remove(git, folder)
        try:
            status, _, said = git.run("worktree", "add", "--detach", "--quiet", os.fspath(folder), commit)
            if status:
                raise UserError(f"git worktree add: {said}")
            root = folder / (git.ask("rev-parse", "--show-prefix") or "")
            if (root / ".dvc").is_dir():
                _share_cache(git.root, root)
            if runs is not None:
                runs.mkdir(parents=True, exist_ok=True)
                (root / RUNS).symlink_to(runs, target_is_directory=True)
            yield root
        finally:
            _remove(git, folder)


def _share_cache(source: Path, target: Path) -> None:
    """Have DVC in ``target`` use the cache of ``source``, with its kind of links and permissions."""
    config = configparser.ConfigParser(interpolation=None)
    config["cache"] = graph.cache_settings(source)
    with open(target / ".dvc" / "config.local", "w", encoding="utf-8") as file:
        config.write(file)


def _remove(git: Git, folder: Path) -> None:
    """Remove a worktree and what git knows of it, whatever a kill left of either.

    By hand: `git worktree remove` and `prune` refuse what `git worktree add`, killed, leaves half-made.
    """
    common = git.ask("rev-parse", "--path-format=absolute", "--git-common-dir")
    records = Path(common or "", "worktrees")
    with naming(folder):
        if folder.exists():
            shutil.rmtree(folder)
        for record in records.glob(f"{folder.name}*"):
            shutil.rmtree(record)
