"""Promoted versions of the model, registered as tags such as `model@v1.2.0`.

The tags have the format of GTO (github.com/iterative/gto), so `dvc artifacts get` and GTO's commands read
them. The champion is the highest version. No tag is ever moved or deleted: a rollback is a new version. A
model that a person took back, by a rollback or by deregistering its version, stays taken back until a
person promotes it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gto.constants import SEPARATOR_IN_NAME, SEPARATOR_IN_TAG, Action
from gto.tag import parse_name

from flows.repo.git import Git, Revision
from flows.repo.lock_file import LOCK, read_record
from gan import paths
from gan.errors import UserError

MODEL = "model"  # under `artifacts:` in dvc.yaml
GENERATOR = str(paths.GENERATOR)
ROLLBACK, REGARDLESS = "Rollback: ", ", regardless ("  # in the message of a version that a person made
CHAMPION = "champion"  # what flows call the highest version


@dataclass(frozen=True, order=True)
class Version:
    """A promoted version: its number, tag and commit."""

    number: tuple[int, int, int]
    tag: str
    commit: str
    subject: str = ""  # the first line of its tag's message

    def by_a_person(self) -> bool:
        """Say whether a person put it in force, not the gate."""
        return self.subject.startswith(ROLLBACK) or REGARDLESS in self.subject

    @property
    def name(self) -> str:
        """Return its name, such as v1.2.0."""
        return name(self.number)


def name(number: tuple[int, int, int]) -> str:
    """Return the name of a version number, such as v1.2.0."""
    return "v" + ".".join(map(str, number))


def versions(git: Git) -> list[Version]:
    """Return every registered version, highest last, without deregistered ones."""
    registered, gone = _registered(git)
    return [version for version in registered if version.name not in gone]


def _registered(git: Git) -> tuple[list[Version], set[str]]:
    """Return every version that was ever registered, and the names of those deregistered since."""
    form = "%(refname:strip=2)%09%(objectname)%09%(*objectname)%09%(contents:subject)"
    by_text, gone, artifact = {}, set(), _artifact(git)
    for line in (git.ask("for-each-ref", f"--format={form}", "refs/tags") or "").splitlines():
        tag, target, peeled, subject = line.split("\t", 3)
        parsed = parse_name(tag, raise_on_fail=False)
        if not parsed or parsed["name"] != artifact or "version" not in parsed:
            continue
        text = parsed["version"].removeprefix("v")
        if parsed["action"] is Action.DEREGISTER:
            gone.add(f"v{text}")
        elif all(number.isdigit() for number in text.split(".")):  # a pre-release is nobody's champion
            major, minor, patch = map(int, text.split("."))
            by_text[text] = Version((major, minor, patch), tag, peeled or target, subject if peeled else "")
    return sorted(by_text.values()), gone


def generators(git: Git, commits: Iterable[str]) -> dict[str, str]:
    """Return the hash of the generator that each of these commits recorded, where it did."""
    texts = git.blobs((commit, LOCK) for commit in dict.fromkeys(commits))
    records = {commit: read_record(text, commit[:10]) for (commit, _), text in texts.items()}
    return {
        commit: record.outputs()[GENERATOR][1]
        for commit, record in records.items()
        if GENERATOR in record.outputs()
    }


def taken_back(git: Git) -> dict[str, str]:
    """Return the generators that a person took back and promoted no more, by hash, and how, in words.

    A rollback takes back all that came after the model to which it returns.
    """
    registered, gone = _registered(git)
    hashes = generators(git, (version.commit for version in registered))
    taken: dict[str, str] = {}
    in_force: list[Version] = []
    for version in registered:
        generator = hashes.get(version.commit, "")
        if version.name in gone:
            taken[generator] = f"{version.name}, which was deregistered"
            continue
        taken.pop(generator, None)
        if version.by_a_person():
            for other in _since(in_force, generator, hashes):
                how = f"{other.name}, which {version.name} rolled back"
                taken.setdefault(hashes.get(other.commit, ""), how)
        in_force.append(version)
    taken.pop("", None)
    return taken


def _since(versions: list[Version], generator: str, hashes: Mapping[str, str]) -> list[Version]:
    """Return the versions after the last one with this generator; none where it is a new one."""
    at = [index for index, version in enumerate(versions) if hashes.get(version.commit) == generator]
    return versions[at[-1] + 1 :] if at else []


def champion(git: Git) -> Version | None:
    """Return the highest version; None if nothing was promoted yet."""
    promoted = versions(git)
    return promoted[-1] if promoted else None


def resolve(git: Git, text: str) -> Revision:
    """Find a revision by any of its names. `champion` is the highest version, if no ref has that name.

    Raises UserError as Git.resolve does, and if there is no champion.
    """
    if text != CHAMPION or any(
        git.ask("show-ref", "--verify", "--quiet", "--", f"refs/{kind}/{text}") is not None
        for kind in ("heads", "tags")
    ):
        return git.resolve(text)
    current = champion(git)
    if current is None:
        raise UserError("no champion yet: `python -m flows.promote REVISION` makes the first")
    return Revision(current.commit, text, f"it is {current.tag}")


def following(git: Git, *, patch: bool = False) -> tuple[int, int, int]:
    """Return the number of the next version: a minor one, or a patch (a rollback).

    The number of a version that was deregistered is not used again.
    """
    used = [version.number for version in _registered(git)[0]]
    if not patch:
        major, minor, _ = used[-1] if used else (1, -1, 0)
        return (major, minor + 1, 0)
    major, minor, _ = versions(git)[-1].number
    return (major, minor, max(number[2] for number in used if number[:2] == (major, minor)) + 1)


def register(git: Git, commit: str, number: tuple[int, int, int], message: str) -> Version:
    """Tag a commit as a version. Raises UserError, also if the version exists."""
    version = Version(number, f"{tag_prefix(git)}{name(number)}", commit)
    tag = ("tag", "--annotate", "--cleanup=whitespace", "--file=-", "--end-of-options", version.tag, commit)
    git.must(*git.identity(), *tag, given=message.encode(), what=f"tag {version.tag}")
    return version


def tag_prefix(git: Git) -> str:
    """Return what the tags of versions begin with."""
    return f"{_artifact(git).replace(SEPARATOR_IN_NAME, SEPARATOR_IN_TAG)}@"


def before(git: Git) -> Version:
    """Return the version that a rollback restores: the champion before today's one.

    Raises UserError if there is none.
    """
    promoted = versions(git)
    if not promoted:
        raise UserError("no version is registered, so there is nothing to roll back")
    commits = [version.commit for version in promoted]
    first = commits.index(promoted[-1].commit)
    if first == 0:
        raise UserError(f"{promoted[-1].name}: the first model that was promoted, so there is none before it")
    return promoted[first - 1]


def _artifact(git: Git) -> str:
    prefix = (git.ask("rev-parse", "--show-prefix") or "").rstrip("/")
    return f"{prefix}{SEPARATOR_IN_NAME}{MODEL}" if prefix else MODEL
