"""Questions to git: revisions by the names people use, files as they were."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flows.commands import read
from flows.environment import environment
from gan.errors import UserError

# No hook of the user's runs on our account, and nothing waits for a password.
_GIT = ("git", "-c", f"core.hooksPath={os.devnull}")
_OWN = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/[^/]+")  # DVC's experiments, by their baseline


@dataclass(frozen=True)
class Revision:
    """A commit, and how it was named."""

    commit: str
    name: str
    note: str = ""  # what the name was taken for, where it could have meant something else


class Git:
    """The repository around a folder; paths are relative to that folder, as in a checkout of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._environment = environment(root) | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        if self.ask("rev-parse", "--git-dir") is None:
            raise UserError(f"{root}: not in a git repository, or git does not trust it; try `git status`")

    def run(self, *arguments: str, given: bytes = b"") -> tuple[int, bytes, str]:
        """Run a git command; return its status, output and what it says in one line."""
        return read([*_GIT, *arguments], self.root, self._environment, given)

    def ask(self, *arguments: str) -> str | None:
        """Return what a git command prints, without the last line's end; None where it fails."""
        status, output, _ = self.run(*arguments)
        return None if status else output.decode(errors="replace").rstrip("\n")

    def identity(self) -> list[str]:
        """Return the options by which git commits in our name, where the user has told it no other."""
        if self.ask("config", "user.email") or "GIT_AUTHOR_EMAIL" in self._environment:
            return []
        return ["-c", "user.name=ganflow", "-c", "user.email=ganflow@localhost"]

    def push(self, remote: str, ref: str) -> None:
        """Push a branch or tag to a git remote. Raises UserError."""
        status, _, said = self.run("push", "--quiet", "--end-of-options", remote, ref)
        if status:
            raise UserError(f"git push {remote} {ref}: {said}")

    def blobs(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Return the files that exist among (commit, path) pairs, read in one go."""
        wanted = [(commit, path) for commit, path in names if "\n" not in path]
        given = "".join(f"{commit}:./{path}\n" for commit, path in wanted).encode()
        status, output, said = self.run("cat-file", "--batch", given=given)
        if status:
            raise UserError(f"git cat-file: {said}")
        found, position = {}, 0
        for name in wanted:
            end = output.index(b"\n", position)
            words = output[position:end].split(b" ")
            position = end + 1
            if words[-1] in (b"missing", b"ambiguous") or len(words) < 3:
                continue
            size = int(words[-1])
            if words[-2] == b"blob":
                found[name] = output[position : position + size]
            position += size + 1
        return found

    def blob(self, commit: str, path: str) -> bytes | None:
        """Return one file as it was; None where it was not."""
        return self.blobs([(commit, path)]).get((commit, path))

    def text(self, commit: str, path: str) -> str:
        """Return one file as it was, as text; empty where it was not."""
        return (self.blob(commit, path) or b"").decode(errors="replace")

    def files(self, commit: str) -> list[str]:
        """Return every file of a commit, here and below."""
        return (self.ask("ls-tree", "-r", "-z", "--name-only", commit) or "").rstrip("\0").split("\0")

    def tracked(self, commit: str, paths: Iterable[str]) -> set[str]:
        """Return which of these files and folders git has in a commit."""
        wanted = [path for path in paths if path]
        if not wanted:
            return set()
        names = ("--literal-pathspecs", "ls-tree", "-z", "--name-only", commit, "--", *wanted)
        return set((self.ask(*names) or "").split("\0")) & set(wanted)

    def shallow(self) -> bool:
        """Say whether history was cut off when this was cloned."""
        return self.ask("rev-parse", "--is-shallow-repository") == "true"

    def experiments(self) -> dict[str, str]:
        """Return DVC's experiments: the full name of each one's ref, and its commit."""
        lines = (
            self.ask("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or ""
        ).splitlines()
        pairs = [line.split(" ", 1) for line in lines]
        return {name: commit for commit, name in pairs if _OWN.fullmatch(name)}

    def resolve(self, name: str) -> Revision:
        """Find the commit of a tag, branch, commit, experiment or promoted version.

        Git's own reading of the name comes first (a tag before a branch of the same name). Whatever
        stands in it is never an option or a command. Raises UserError when it names no commit, or
        several experiments or versions.
        """
        if "\0" in name or "\n" in name:
            raise UserError(f"{name!r}: a revision's name has no line breaks; see `git log`")
        if commit := self._commit(name):
            return Revision(commit, name, self._twins(name))
        found = {ref: commit for ref, commit in self.experiments().items() if ref.rpartition("/")[2] == name}
        tags = (self.ask("tag", "--list", "--format=%(refname)") or "").splitlines()
        versions = [ref for ref in tags if ref.rpartition("@")[2] == name and "@" in ref]
        found |= {ref: commit for ref in versions if (commit := self._commit(ref))}
        if len(set(found.values())) == 1:
            ref, commit = next(iter(found.items()))
            return Revision(commit, name, f"it is {ref}")
        if found:
            several = ", ".join(f"{ref} ({commit[:7]})" for ref, commit in found.items())
            raise UserError(f"{name}: names several: {several}; give the commit")
        hint = "; this clone is shallow, `git fetch --unshallow` brings the rest" if self.shallow() else ""
        raise UserError(
            f"{name!r}: no tag, branch, commit, experiment or version of this name here{hint}"
            f"{'' if hint else '; `python -m flows.history` lists them'}"
        )

    def _commit(self, name: str) -> str | None:
        # In two steps: behind `:/text`, which git knows too, `^{commit}` would belong to the text.
        verify = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        found = self.ask(*verify, name) if name else None
        return self.ask(*verify, f"{found}^{{commit}}") if found else None

    def _twins(self, name: str) -> str:
        tag, branch = f"refs/tags/{name}", f"refs/heads/{name}"
        if not all(
            self.ask("show-ref", "--verify", "--quiet", "--", ref) is not None for ref in (tag, branch)
        ):
            return ""
        return f"it is the tag, as for git; refs/heads/{name} is the branch"
