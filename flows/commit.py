"""What came of a run in a worktree, as a git commit: dvc.lock, params, metrics, whatever git keeps of it."""

from collections.abc import Sequence
from pathlib import Path

from flows import graph
from flows.git import Git, Revision
from flows.lineage import Change, Entry, Lineage, compare
from flows.record import LOCK, few, shown
from gan import machine
from gan.errors import UserError

NOWHERE = "0" * 40  # git's name for a ref that must not be there yet


def write(tree: Path, base: str, message: str) -> str:
    """Commit what git keeps of a worktree's run on top of ``base``; no branch moves. Return the commit.

    That is every file that git has already, and what is new of dvc.lock, the outs that dvc.yaml leaves
    to git, and reports/machine.json. Raises UserError.
    """
    git = Git(tree)
    new = [path for path in (LOCK, str(machine.MACHINE), *graph.left_to_git(tree)) if (tree / path).exists()]
    _must(git, "add", "--update", "--", ":/")
    _must(git, "--literal-pathspecs", "add", "--force", "--", *new)
    content = _must(git, "write-tree")
    return _must(git, *git.identity(), "commit-tree", content, "-p", base, given=message.encode())


def place(git: Git, ref: str, commit: str, message: str) -> None:
    """Give a commit a name that nothing has yet. Raises UserError."""
    _must(git, "update-ref", "--create-reflog", "-m", message, ref, commit, NOWHERE)


def differs(git: Git, base: str, commit: str) -> bool:
    """Say whether another dvc.lock was recorded."""
    return git.blob(base, LOCK) != git.blob(commit, LOCK)


def describe(git: Git, base: Revision, tree: Path) -> tuple[str, str]:
    """Return in one line what a run in a worktree changed, and what its commit should say below.

    It is committed without a name for that: experiments compare as commits.
    """
    commit = write(tree, base.commit, "compared")
    lineage = Lineage(git)
    after = lineage.entry(commit)
    if git.blob(base.commit, LOCK) is None:
        return "the first record", _metrics(None, after)
    before = lineage.entry(base.commit)
    change = compare(before, after)
    return change.brief(), "\n".join([*_changes(change), _metrics(before, after)])


def _changes(change: Change) -> list[str]:
    lines = [f"{key}: {shown(was)} → {shown(now)}" for key, (was, now) in change.params.items()]
    if change.data:
        lines.append(f"data: {few(change.data, 10)}")
    return [*lines, ""] if lines else []


def _metrics(before: Entry | None, after: Entry) -> str:
    old = before.shown() if before and before.same_scorer(after) else {}
    lines = [
        f"{key} {old[key]} → {value}" if key in old and old[key] != value else f"{key} {value}"
        for key, value in after.shown().items()
    ]
    return "\n".join(lines)


def _must(git: Git, *arguments: str, given: bytes = b"") -> str:
    status, output, said = git.run(*arguments, given=given)
    if status:
        command: Sequence[str] = [part for part in arguments if not part.startswith(("-", "user."))]
        raise UserError(f"git {command[0]}: {said}")
    return output.decode(errors="replace").strip()
