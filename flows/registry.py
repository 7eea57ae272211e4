"""The versions of the model that were promoted, as the DVC ecosystem registers them: tags `model@v1.2.0`.

The tags are GTO's (github.com/iterative/gto), so `dvc artifacts get` and GTO's own commands know them.
The champion is the highest version; nothing is ever moved or deleted, a rollback is a version too.
"""

from dataclasses import dataclass

from gto.constants import SEPARATOR_IN_NAME, SEPARATOR_IN_TAG, Action
from gto.tag import parse_name

from flows.git import Git, Revision
from gan.errors import UserError

MODEL = "model"  # under `artifacts:` in dvc.yaml
CHAMPION = "champion"  # what flows call the highest version


@dataclass(frozen=True, order=True)
class Version:
    """A promoted version: its number, tag and commit."""

    number: tuple[int, int, int]
    tag: str
    commit: str

    @property
    def name(self) -> str:
        """Return it as people say it: v1.2.0."""
        return name(self.number)


def name(number: tuple[int, int, int]) -> str:
    """Return a version's number as people say it: v1.2.0."""
    return "v" + ".".join(map(str, number))


def versions(git: Git) -> list[Version]:
    """Return every registered version, the highest last; those that were deregistered are left out."""
    lines = git.ask("for-each-ref", "--format=%(refname:strip=2) %(objectname) %(*objectname)", "refs/tags")
    found, gone, artifact = {}, set(), _artifact(git)
    for line in (lines or "").splitlines():
        tag, target, *peeled = line.split()
        parsed = parse_name(tag, raise_on_fail=False)
        if not parsed or parsed["name"] != artifact or "version" not in parsed:
            continue
        text = parsed["version"].removeprefix("v")
        if parsed["action"] is Action.DEREGISTER:
            gone.add(text)
        elif all(part.isdigit() for part in text.split(".")):  # a pre-release is nobody's champion
            major, minor, patch = map(int, text.split("."))
            found[text] = Version((major, minor, patch), tag, peeled[0] if peeled else target)
    return sorted(version for text, version in found.items() if text not in gone)


def champion(git: Git) -> Version | None:
    """Return the highest version; None where nothing was promoted yet."""
    found = versions(git)
    return found[-1] if found else None


def resolve(git: Git, text: str) -> Revision:
    """Find a revision by any of its names; `champion` is the highest version, if nothing else is called so.

    Raises UserError as Git.resolve does, and where there is no champion.
    """
    if text != CHAMPION or any(
        git.ask("show-ref", "--verify", "--quiet", "--", f"refs/{kind}/{text}") is not None
        for kind in ("heads", "tags")
    ):
        return git.resolve(text)
    found = champion(git)
    if found is None:
        raise UserError("no champion yet: `python -m flows.promote REVISION` makes the first")
    return Revision(found.commit, text, f"it is {found.tag}")


def following(git: Git, *, patch: bool = False) -> tuple[int, int, int]:
    """Return the number of the next version: a minor one, or a patch (a rollback)."""
    found = versions(git)
    major, minor, last = found[-1].number if found else (1, -1, 0)
    return (major, minor, last + 1) if patch else (major, minor + 1, 0)


def register(git: Git, commit: str, number: tuple[int, int, int], message: str) -> Version:
    """Tag a commit as a version. Raises UserError, also where there is such a version."""
    artifact = _artifact(git).replace(SEPARATOR_IN_NAME, SEPARATOR_IN_TAG)
    version = Version(number, f"{artifact}@{name(number)}", commit)
    arguments = (
        "tag",
        "--annotate",
        "--cleanup=whitespace",
        "--file=-",
        "--end-of-options",
        version.tag,
        commit,
    )
    status, _, said = git.run(*git.identity(), *arguments, given=message.encode())
    if status:
        raise UserError(f"git tag {version.tag}: {said}")
    return version


def before(git: Git) -> Version:
    """Return the version that a rollback goes back to: the one in force before today's champion was.

    Raises UserError where there is none.
    """
    found = versions(git)
    if not found:
        raise UserError("no version is registered, so there is nothing to roll back")
    commits = [version.commit for version in found]
    first = commits.index(found[-1].commit)
    if first == 0:
        raise UserError(f"{found[-1].name}: the first model that was promoted, so there is none before it")
    return found[first - 1]


def _artifact(git: Git) -> str:
    prefix = (git.ask("rev-parse", "--show-prefix") or "").rstrip("/")
    return f"{prefix}{SEPARATOR_IN_NAME}{MODEL}" if prefix else MODEL
