"""Reading from git: revisions by the names that people use, and files at a revision."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flows.system import disk_room
from flows.system.processes import read
from flows.system.variables import environment
from gan.errors import UserError

# No hook of the user's runs on our account, and files are checked out as they were committed: hashes are
# of bytes, and core.autocrlf or a global attributes file would change them.
_OPTIONS = (
    f"core.hooksPath={os.devnull}",
    f"core.attributesFile={os.devnull}",
    "core.autocrlf=false",
    "core.eol=lf",
)
_GIT = ("git", *(argument for option in _OPTIONS for argument in ("-c", option)))
_OWN = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/[^/]+")  # DVC's experiments, by their baseline


@dataclass(frozen=True)
class Revision:
    """A commit, and how it was named."""

    commit: str
    name: str
    note: str = ""  # what the name was taken for, where it could have meant something else


class Git:
    """The repository that contains a folder; paths are relative to that folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._environment = environment(root) | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        if self.ask("rev-parse", "--git-dir") is None:
            raise UserError(f"{root}: not in a git repository, or git does not trust it; try `git status`")

    def run(self, *arguments: str, given: bytes = b"") -> tuple[int, bytes, str]:
        """Run a git command; return its status, its output, and its errors in one line."""
        return read([*_GIT, *arguments], self.root, self._environment, given)

    def ask(self, *arguments: str) -> str | None:
        """Return the output of a git command without the final newline; None if it fails."""
        status, output, _ = self.run(*arguments)
        return None if status else output.decode(errors="replace").rstrip("\n")

    def must(self, *arguments: str, given: bytes = b"", what: str = "") -> str:
        """Return the output of a git command. Raises UserError that begins with its name, or ``what``."""
        status, output, message = self.run(*arguments, given=given)
        if status:
            name = next(argument for argument in arguments if not argument.startswith(("-", "user.")))
            disk_room.refuse(self.root, message, f"git {what or name}")
            raise UserError(f"git {what or name}: {message}")
        return output.decode(errors="replace").strip()

    def identity(self) -> list[str]:
        """Return options that set our name as author, if the user has not configured one."""
        if self.ask("config", "user.email") or "GIT_AUTHOR_EMAIL" in self._environment:
            return []
        return ["-c", "user.name=ganflow", "-c", "user.email=ganflow@localhost"]

    def push(self, remote: str, *refs: str) -> None:
        """Push branches and tags to a git remote, all or none where it can. Raises UserError."""
        arguments = ("push", "--quiet", "--atomic", "--end-of-options", remote, *refs)
        self.must(*arguments, what=f"push {remote} {' '.join(refs)}")

    def _objects(self, option: str, pairs: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], bytes]:
        """Ask for the objects of (commit, path) pairs in one call; return the pairs asked for, the answer."""
        wanted = [(commit, path) for commit, path in pairs if "\n" not in path]
        given = "".join(f"{commit}:./{path}\n" for commit, path in wanted).encode()
        status, output, message = self.run("cat-file", option, given=given)
        if status:
            raise UserError(f"git cat-file: {message}")
        return wanted, output

    def blobs(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Return the contents of the files that exist among (commit, path) pairs, in one git call."""
        wanted, output = self._objects("--batch", names)
        contents, position = {}, 0
        for name in wanted:
            end = output.index(b"\n", position)
            fields = output[position:end].split(b" ")
            position = end + 1
            if fields[-1] in (b"missing", b"ambiguous") or len(fields) < 3:
                continue
            size = int(fields[-1])
            if fields[-2] == b"blob":
                contents[name] = output[position : position + size]
            position += size + 1
        return contents

    def names(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return git's names of the bytes of the files that exist among (commit, path) pairs."""
        wanted, output = self._objects("--batch-check", pairs)
        rows = [line.split() for line in output.decode(errors="replace").splitlines()]
        return {pair: row[0] for pair, row in zip(wanted, rows, strict=True) if row[1:2] == ["blob"]}

    def blob(self, commit: str, path: str) -> bytes | None:
        """Return a file at a commit; None if it does not exist there."""
        return self.blobs([(commit, path)]).get((commit, path))

    def text(self, commit: str, path: str) -> str:
        """Return a file at a commit as text; empty if it does not exist there."""
        return (self.blob(commit, path) or b"").decode(errors="replace")

    def files(self, commit: str) -> list[str]:
        """Return the paths of all files of a commit, in this folder and below."""
        return (self.ask("ls-tree", "-r", "-z", "--name-only", commit) or "").rstrip("\0").split("\0")

    def tracked(self, commit: str, paths: Iterable[str]) -> set[str]:
        """Return those of these files and folders that git has in a commit."""
        wanted = [path for path in paths if path]
        if not wanted:
            return set()
        names = ("--literal-pathspecs", "ls-tree", "-z", "--name-only", commit, "--", *wanted)
        return set((self.ask(*names) or "").split("\0")) & set(wanted)

    def shallow(self) -> bool:
        """Say whether this is a shallow clone."""
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

        Git resolves the name first (a tag before a branch of the same name). The name is never treated as an
        option or a command. Raises UserError if it names no commit, or several experiments or versions.
        """
        if "\0" in name or "\n" in name:
            raise UserError(f"{name!r}: a revision's name has no line breaks; see `git log`")
        if commit := self._commit(name):
            return Revision(commit, name, self._twins(name))
        candidates = {
            ref: commit for ref, commit in self.experiments().items() if ref.rpartition("/")[2] == name
        }
        tags = (self.ask("tag", "--list", "--format=%(refname)") or "").splitlines()
        versions = [ref for ref in tags if ref.rpartition("@")[2] == name and "@" in ref]
        candidates |= {ref: commit for ref in versions if (commit := self._commit(ref))}
        if len(set(candidates.values())) == 1:
            ref, commit = next(iter(candidates.items()))
            return Revision(commit, name, f"it is {ref}")
        if candidates:
            several = ", ".join(f"{ref} ({commit[:7]})" for ref, commit in candidates.items())
            raise UserError(f"{name}: names several: {several}; give the commit")
        hint = "; this clone is shallow, `git fetch --unshallow` brings the rest" if self.shallow() else ""
        raise UserError(
            f"{name!r}: no tag, branch, commit, experiment or version of this name here{hint}"
            f"{'' if hint else '; `python -m flows.history` lists them'}"
        )

    def _commit(self, name: str) -> str | None:
        # In two steps: behind `:/text`, which git knows too, `^{commit}` would belong to the text.
        verify = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        object_id = self.ask(*verify, name) if name else None
        return self.ask(*verify, f"{object_id}^{{commit}}") if object_id else None

    def _twins(self, name: str) -> str:
        tag, branch = f"refs/tags/{name}", f"refs/heads/{name}"
        if not all(
            self.ask("show-ref", "--verify", "--quiet", "--", ref) is not None for ref in (tag, branch)
        ):
            return ""
        return f"it is the tag, as for git; refs/heads/{name} is the branch"
