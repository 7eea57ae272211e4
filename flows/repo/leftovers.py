"""What runs leave behind that nothing needs any more, and how it is removed."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flows.repo import checkout, model_versions, worktree
from flows.repo.git import Git
from flows.system import pinned_environments
from gan import paths
from gan.errors import UserError
from gan.files import RUNS, run_lock

RETRAININGS = "refs/heads/retrain"
DAY = 24 * 3600.0


@dataclass(frozen=True)
class Leftover:
    """One thing that can go."""

    kind: str  # worktree | state | environment | report | branch
    name: str
    why: str
    size: int  # bytes
    remove: Callable[[], None]


def leftovers(git: Git, keep: int, days: float) -> list[Leftover]:
    """Return what nothing needs: ``keep`` newest retrainings stay, and states younger than ``days`` days.

    Raises UserError where somebody is at work in a worktree.
    """
    branches = old_branches(git, keep)
    gone = {branch.name for branch in branches}
    return [
        *_worktrees(git),
        *_states(git.root, days),
        *_environments(git),
        *branches,
        *old_reports(git, keep, gone),
    ]


def old_branches(git: Git, keep: int) -> list[Leftover]:
    """Return branches of retrainings, but for the newest, that no tag, other branch or remote needs."""
    form = "--format=%(objectname) %(refname)"
    rows = [line.split(" ", 1) for line in (git.ask("for-each-ref", form, RETRAININGS) or "").splitlines()]
    rows.sort(key=lambda row: row[1], reverse=True)
    return [
        Leftover(
            "branch",
            ref.removeprefix("refs/heads/"),
            f"{commit[:10]}: no tag, other branch or remote has it",
            0,
            partial(_remove_branch, git, ref, commit),
        )
        for commit, ref in rows[keep:]
        if not _needed(git, ref, commit)
    ]


def old_reports(git: Git, keep: int, gone: set[str]) -> list[Leftover]:
    """Return reports on the shelf, but for the newest, and those of the branches that go."""
    shelf = git.root / RUNS / "reports"
    folders = sorted((path for path in shelf.glob("*") if path.is_dir()), reverse=True)
    names = {name.replace("/", "-") for name in gone}
    return [
        _folder("report", path, "an older run" if number >= keep else "its branch goes")
        for number, path in enumerate(folders)
        if number >= keep or path.name in names
    ]


def _worktrees(git: Git) -> Iterator[Leftover]:
    """Yield the worktrees of runs that were killed. Raises UserError where somebody is at work in one."""
    for path in sorted((git.root / RUNS / "worktrees").glob("ganflow-*")):
        purpose = path.name.removeprefix("ganflow-").rpartition("-")[0]
        with run_lock(checkout.lock_name(git.root, purpose)):
            remove = partial(worktree.remove, git, path)
            yield Leftover("worktree", path.name, "its run was killed", _size(path), remove)


def _states(root: Path, days: float) -> Iterator[Leftover]:
    """Yield states of trainings that nobody went on with."""
    for path in sorted([*root.glob(f"{RUNS}/train-*"), *root.glob(f"{RUNS}/states/*/train-*")]):
        if path.is_dir() and time.time() - _newest(path) > days * DAY:
            yield _folder("state", path, f"not gone on with for {days:g} days")


def _environments(git: Git) -> Iterator[Leftover]:
    """Yield environments that are neither of HEAD's nor of the champion's pins."""
    champion = model_versions.champion(git)
    wanted = ["HEAD", *([champion.commit] if champion else [])]
    texts = git.blobs((commit, str(paths.REQUIREMENTS)) for commit in wanted)
    needed = {pinned_environments.key(text) for text in texts.values()}
    for path in sorted((git.root / RUNS / "environments").glob("*")):
        if path.name not in needed:
            yield _folder("environment", path, "of other pins than HEAD's and the champion's")


def _needed(git: Git, ref: str, commit: str) -> bool:
    holders = git.ask("for-each-ref", f"--contains={commit}", "--format=%(refname)") or ""
    return any(holder != ref for holder in holders.splitlines())


def _remove_branch(git: Git, ref: str, commit: str) -> None:
    status, _, message = git.run("update-ref", "-d", ref, commit)  # only where it is still there
    if status:
        raise UserError(f"git update-ref: {message}")


def _folder(kind: str, path: Path, why: str) -> Leftover:
    return Leftover(kind, path.name, why, _size(path), partial(shutil.rmtree, path))


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def _newest(path: Path) -> float:
    return max(file.lstat().st_mtime for file in [path, *path.rglob("*")])


def total(rows: Sequence[Leftover]) -> int:
    """Return how many bytes they take."""
    return sum(row.size for row in rows)
