"""What a source's files are now, in a small file that `download` depends on: `python -m gan.source_state`.

DVC knows the source only as the text of a param, so it cannot see images change behind it. This walks a
folder or looks at an address, and rewrites ``data/source.json`` only if something changed: then `dvc repro`
runs `download`. Contents are read of files whose size, time or inode changed; the index of these is
in .runs. `make repro` and the flows look first. Free of torch: flows import it too.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any
from urllib.parse import urlsplit

from gan import yaml12
from gan.data.clutter import is_clutter
from gan.errors import UserError
from gan.files import RUNS, read_json, sha256_file, users_path, write_json
from gan.paths import PARAMS, SOURCE_STATE
from gan.urls import is_address

UNWATCHED = {"state": None}  # of published sets, pinned files, and what cannot be looked at
_FRESH = 2_000_000_000  # nanoseconds: a file that young may change again within the clock's tick
_SECONDS = 20
# What servers call a version: over HTTP, S3, SSH.
_VERSIONS = (("etag",), ("last-modified", "content-length"), ("lastmodified", "size"), ("mtime", "size"))

Index = dict[str, list[Any]]  # path: size, time of change, inode, sha256, when it was read


def refresh(folder: Path = Path()) -> bool:
    """Bring ``data/source.json`` up to date, if the project has one; say whether it changed."""
    path = folder / SOURCE_STATE
    if not path.is_file():
        return False
    data = _params(folder)
    state = look(str(data.get("source", "")), data.get("sha256"), folder)
    if state is None or (path.is_file() and _read(path) == state):
        return False
    write_json(path, state)
    return True


def look(source: str, pinned: object, folder: Path = Path()) -> dict[str, Any] | None:
    """Return what tells a source from a changed one; None when that cannot be told now."""
    if pinned:
        return UNWATCHED
    if source.lower().startswith("file://"):
        source = urlsplit(source).path
    if is_address(source):
        return _address(source)
    path = users_path(source)
    root = path if path.is_absolute() else folder / path
    if not root.exists():
        return UNWATCHED if os.sep not in source and "." not in source else None
    return {"state": _files(source, root, folder)}


def _params(folder: Path) -> dict[str, Any]:
    try:
        content = yaml12.parse_yaml((folder / PARAMS).read_text(encoding="utf-8"))
    except (OSError, ValueError, UserError):  # the stages say what is wrong with it
        return {}
    section = content.get("data") if isinstance(content, dict) else None
    return section if isinstance(section, dict) else {}


def _files(source: str, root: Path, folder: Path) -> str:
    """Return one checksum of all files' names and contents, reading only those that changed."""
    key = hashlib.sha256(str(root.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    index_path = folder / RUNS / "sources" / f"{key}.index.json"
    old: Index = _read(index_path) or {}
    new: Index = {}
    now = time.time_ns()
    for name, path, stat in _walk(root):
        known = old.get(name)
        marks = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        if known and known[:3] == marks and stat.st_mtime_ns < known[4] - _FRESH:
            new[name] = known
            continue
        with suppress(OSError):  # unreadable: download says so
            new[name] = [*marks, sha256_file(Path(path)), now]
    if new != old:
        write_json(index_path, new)
    whole = hashlib.sha256()
    for name in sorted(new):
        whole.update(f"{name}\0{new[name][3]}\n".encode(errors="surrogateescape"))
    return f"{len(new)} files, sha256 {whole.hexdigest()}"


def _walk(root: Path) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield name, path and facts of a folder's files, links followed, or of the one file that it is."""
    if root.is_file():
        yield root.name, str(root), root.stat()
        return
    waiting, seen = [("", str(root), root.stat())], set()
    while waiting:
        before, folder, facts = waiting.pop()
        if (facts.st_dev, facts.st_ino) in seen:  # a loop of links
            continue
        seen.add((facts.st_dev, facts.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_clutter(entry.name):
                    continue
                try:
                    facts = entry.stat()
                except OSError:  # a broken link
                    continue
                if S_ISDIR(facts.st_mode):
                    waiting.append((f"{before}{entry.name}/", entry.path, facts))
                elif S_ISREG(facts.st_mode):
                    yield before + entry.name, entry.path, facts


def _address(source: str) -> dict[str, Any] | None:
    """Return the version that a server names of an address: its ETag, or else its date and length."""
    try:
        if source.lower().startswith(("http://", "https://")):
            metadata = _headers(source)
        else:
            from fsspec.core import url_to_fs

            system, path = url_to_fs(source)
            metadata = system.info(path)
    except Exception:  # offline, no keys, no such package: whatever it is, download says it
        return None
    if metadata is None:
        return None
    lower = {str(name).lower(): value for name, value in metadata.items()}
    for names in _VERSIONS:
        if all(lower.get(name) for name in names):
            return {"state": ", ".join(f"{name} {lower[name]}" for name in names)}
    return UNWATCHED


def _headers(source: str) -> dict[str, Any] | None:
    """Return what a web server says of a file; None where it does not give it now."""
    import requests

    answer = requests.head(source, timeout=_SECONDS, allow_redirects=True)
    if not answer.ok:  # addresses that are signed, and some servers, know GET alone
        answer = requests.get(source, timeout=_SECONDS, stream=True)
        answer.close()
    return dict(answer.headers) if answer.ok else None


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except UserError:
        return None


def main() -> None:
    """Look, and say so if something changed."""
    if refresh():
        print(
            f"source    changed since it was last downloaded ({SOURCE_STATE}); download runs again",
            flush=True,
        )


if __name__ == "__main__":
    main()
