"""The result of a run in a worktree as a git commit: dvc.lock, params, metrics, other outs that git keeps."""

from pathlib import Path

import yaml

from flows.repo import dvc_graph
from flows.repo.git import Git, Revision
from flows.repo.lineage import Change, Entry, Lineage, compare
from flows.repo.lock_file import LOCK, few
from flows.system.pinned_environments import as_texts
from gan.urls import redacted
from gan.yaml12 import parse_yaml

NOWHERE = "0" * 40  # git's name for a ref that must not be there yet


def write(tree: Path, base: str, message: str) -> str:
    """Commit the result of a worktree's run on top of ``base`` and return the commit; no branch moves.

    That is every file that git has already, and what is new of dvc.lock and the outs that dvc.yaml leaves
    to git. Raises UserError.
    """
    git = Git(tree)
    new = [path for path in (LOCK, *dvc_graph.left_to_git(tree)) if (tree / path).exists()]
    git.must("add", "--update", "--", ":/")
    git.must("--literal-pathspecs", "add", "--force", "--", *new)
    content = git.must("write-tree")
    return git.must(*git.identity(), "commit-tree", content, "-p", base, given=message.encode())


def create_ref(git: Git, ref: str, commit: str, message: str) -> None:
    """Create a ref for a commit. Raises UserError if the ref exists."""
    git.must("update-ref", "--create-reflog", "-m", message, ref, commit, NOWHERE)


def differs(git: Git, base: str, commit: str) -> bool:
    """Say whether another dvc.lock was recorded: other content, not the same in other lines."""
    return not _same(git.blob(base, LOCK), git.blob(commit, LOCK))


def twin(git: Git, refs: str, commit: str) -> str | None:
    """Return the newest branch below ``refs`` that recorded the same dvc.lock; None where none did."""
    form = "--format=%(objectname) %(refname:lstrip=2)"
    lines = (git.ask("for-each-ref", "--sort=-refname", form, refs) or "").splitlines()
    pairs = [line.split(" ", 1) for line in lines]
    locks = git.blobs([(commit, LOCK), *((other, LOCK) for other, _ in pairs)])
    wanted = locks.get((commit, LOCK))
    return next((name for other, name in pairs if _same(locks.get((other, LOCK)), wanted)), None)


def _same(lock: bytes | None, other: bytes | None) -> bool:
    """Say whether two dvc.lock hold the same, wherever their lines break; None: there is none."""
    if lock is None or other is None or lock == other:
        return lock == other
    if lock.split() != other.split():  # much faster than to parse them
        return False
    try:
        return bool(parse_yaml(lock.decode()) == parse_yaml(other.decode()))
    except (yaml.YAMLError, ValueError):
        return False


def describe(git: Git, base: Revision, tree: Path) -> tuple[str, str]:
    """Return the subject and the body of the message for a run's commit: what the run changed.

    To compare, it is first committed without a ref.
    """
    commit = write(tree, base.commit, "compared")
    lineage = Lineage(git)
    after = lineage.entry(commit)
    if git.blob(base.commit, LOCK) is None:
        return "the first record", "\n".join([*_unpinned(after), _metrics(None, after)])
    before = lineage.entry(base.commit)
    change = compare(before, after)
    return change.brief(), "\n".join([*_changes(change), *_unpinned(after), _metrics(before, after)])


def _changes(change: Change) -> list[str]:
    lines = [f"{key}: {redacted(was)} → {redacted(now)}" for key, (was, now) in change.params.items()]
    lines += [f"{name}: {was} → {now}" for name, (was, now) in change.packages.items()]
    if change.data:
        lines.append(f"data: {few(change.data, 10)}")
    return [*lines, ""] if lines else []


def _unpinned(entry: Entry) -> list[str]:
    """Say which packages were not as pinned, a line a stage."""
    lines = [f"unpinned, {text}" for text in as_texts(entry.unpinned)]
    return [*lines, ""] if lines else []


def _metrics(before: Entry | None, after: Entry) -> str:
    old = before.metric_texts() if before and before.same_scorer(after) else {}
    lines = [
        f"{key} {old[key]} → {value}" if key in old and old[key] != value else f"{key} {value}"
        for key, value in after.metric_texts().items()
    ]
    return "\n".join(lines)
