"""The objects in DVC's cache: where they are, and whether their bytes match their hash.

DVC does not check its cache, nor a remote unless `verify` is set. A flipped bit reaches the workspace
unnoticed, and DVC calls the result up to date.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.repo import dvc_graph
from flows.repo.lock_file import few
from gan.errors import UserError


@dataclass(frozen=True)
class Fault:
    """A missing or corrupt object, and the output it belongs to."""

    output: str  # the path that dvc.lock names, or of a file within it
    path: Path
    what: str  # missing | corrupt

    def describe(self) -> str:
        """Return it as a phrase for a message."""
        return f"{self.output} ({self.what}: {self.path})"


def object_path(cache: Path, md5: str) -> Path:
    """Return where the cache keeps the object of this hash."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def listing(cache: Path, md5: str) -> dict[str, str] | None:
    """Return path and hash of each file in a folder, by the folder's hash; None if it is not in the cache."""
    try:
        return {item["relpath"]: item["md5"] for item in json.loads(object_path(cache, md5).read_bytes())}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check(cache: Path, outputs: Mapping[str, str]) -> list[Fault]:
    """Read every object of these outputs (path: hash); return those that are missing or corrupt."""
    return list(_faults(cache, outputs.items()))


def bring(
    root: Path, commit: str, outputs: Mapping[str, str], stages: Sequence[str]
) -> tuple[list[Fault], str]:
    """Fetch the outputs that the cache lacks; return the faults that remain, and the reason."""
    cache, reason = dvc_graph.cache_folder(root), ""
    if faults := check(cache, outputs):
        reason = dvc_graph.fetch(root, commit, stages)
        faults = check(cache, outputs)
    return faults, reason or "it lacks them"


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


def md5_source(path: Path) -> str:
    """Return the MD5 that dvc.lock has of a dep, a file or a folder; see .dvcignore on compiled code."""
    if not path.is_dir():
        return md5_file(path)
    files = {name: md5 for name, md5 in md5_tree(path).items() if "__pycache__" not in name.split("/")}
    listed = json.dumps([{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())])
    return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"


def refuse(faults: list[Fault], what: str, advice: str) -> None:
    """Raise UserError naming the first faults, if there are any."""
    if faults:
        raise UserError(f"{what}: {few([fault.describe() for fault in faults], 3)}; {advice}")


def _faults(cache: Path, outputs: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    for path, md5 in outputs:
        object_ = object_path(cache, md5)
        if not object_.is_file():
            yield Fault(path, object_, "missing")
        elif md5_file(object_) != md5.removesuffix(".dir"):
            yield Fault(path, object_, "corrupt")
        elif md5.endswith(".dir"):
            files = listing(cache, md5) or {}
            yield from _faults(cache, ((f"{path}/{name}", value) for name, value in files.items()))
