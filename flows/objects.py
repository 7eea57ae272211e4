"""What DVC's cache holds, by hash, and whether it still is what its name says.

DVC itself trusts its cache and, unless `verify` is set for it, a remote: a flipped bit goes into the
workspace unseen, and DVC calls the result up to date.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.record import few
from gan.errors import UserError


@dataclass(frozen=True)
class Fault:
    """An object that cannot be used: of which output, and what is wrong with it."""

    output: str  # the path that dvc.lock names, or of a file within it
    place: Path
    what: str  # missing | corrupt

    def words(self) -> str:
        """Return it as part of a line."""
        return f"{self.output} ({self.what}: {self.place})"


def place(cache: Path, md5: str) -> Path:
    """Return where the cache keeps the object of this hash."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def listing(cache: Path, md5: str) -> dict[str, str] | None:
    """Return the files of a folder and their hashes by the folder's own hash; None if the cache lacks it."""
    try:
        return {item["relpath"]: item["md5"] for item in json.loads(place(cache, md5).read_bytes())}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check(cache: Path, outputs: Mapping[str, str]) -> list[Fault]:
    """Read every object of these outputs (path: hash); return those that are missing or corrupt."""
    return list(_faults(cache, outputs.items()))


def md5_file(path: Path) -> str:
    """Return a file's MD5, DVC's name for its bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_tree(folder: Path) -> dict[str, str]:
    """Return every file below a folder with its hash."""
    return {
        path.relative_to(folder).as_posix(): md5_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refuse(faults: list[Fault], what: str, advice: str) -> None:
    """Raise UserError naming the first faults, if there are any."""
    if faults:
        raise UserError(f"{what}: {few([fault.words() for fault in faults], 3)}; {advice}")


def _faults(cache: Path, outputs: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    for path, md5 in outputs:
        object_ = place(cache, md5)
        if not object_.is_file():
            yield Fault(path, object_, "missing")
        elif md5_file(object_) != md5.removesuffix(".dir"):
            yield Fault(path, object_, "corrupt")
        elif md5.endswith(".dir"):
            files = listing(cache, md5) or {}
            yield from _faults(cache, ((f"{path}/{name}", value) for name, value in files.items()))
