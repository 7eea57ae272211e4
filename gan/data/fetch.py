"""Bring a source's bytes here: from a package, a published set, an address or a path. Nothing is unpacked."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gan.data.copying import Skipped, copy_file, copy_tree
from gan.data.names import is_clutter, printable
from gan.data.network import SOCKET_SECONDS, downloading, is_address, shown
from gan.data.published import fetch_published
from gan.data.sources import DIGITS_FILE, SOURCES
from gan.errors import UserError
from gan.files import users_path


@dataclass(frozen=True)
class Fetched:
    """What a source gave: each file's origin, by relative path, and what was left out."""

    origins: dict[str, str]
    one_file: bool = False
    skipped: Skipped = field(default_factory=dict)


def fetch(source: str, target: Path, raw: Path) -> Fetched:
    """Fill the folder ``target`` with exactly what ``source`` gives.

    ``raw`` is the folder that this stage writes, which a source must not overlap. Raises UserError,
    naming the source and its address, when it does not exist, cannot be reached, stalls, or is
    not what its published checksum says.
    """
    if source == "digits":
        return _digits(target)
    if source in SOURCES:
        return Fetched(fetch_published(source, target))
    local_address = source.lower().startswith("file://")
    if is_address(source) and not local_address:
        return _address(source, target)
    place = unquote(urlsplit(source).path) if local_address else source
    return _local(source, users_path(place), target, raw)


def _digits(target: Path) -> Fetched:
    package = find_spec("sklearn")  # found, not imported: that costs seconds
    if package is None or package.origin is None:
        raise UserError(
            "data.source: digits come with scikit-learn, which is not installed; run `make setup`"
        )
    copy_file(Path(package.origin).parent / "datasets" / "data" / DIGITS_FILE, target / DIGITS_FILE)
    return Fetched({DIGITS_FILE: f"scikit-learn: datasets/data/{DIGITS_FILE}"})


def _local(source: str, path: Path, target: Path, raw: Path) -> Fetched:
    if not path.exists():
        raise UserError(
            f"data.source: {source!r} is neither a path that exists here nor one of "
            f"{', '.join(SOURCES)}; correct it"
        )
    place, own = path.resolve(), raw.resolve()
    if place.is_relative_to(own) or own.is_relative_to(place):
        raise UserError(f"data.source: {source} overlaps {raw}, which this stage writes; move the images")
    if not path.is_dir():
        name = printable(path.name)
        copy_file(path, target / name)
        return Fetched({name: source}, one_file=True)
    skipped = copy_tree(path, target)
    names = sorted(found.relative_to(target).as_posix() for found in target.rglob("*") if found.is_file())
    return Fetched({name: f"{source.rstrip('/')}/{name}" for name in names}, skipped=skipped)


def _address(source: str, target: Path) -> Fetched:
    """Fetch an archive, or a folder where the file system behind the address can list one."""
    with downloading(source, source, "check the address, or give a local copy's path", target):
        from fsspec.core import url_to_fs

        system, root = url_to_fs(source, **_options(source))
        web = urlsplit(source).scheme.lower() in ("http", "https")
        if not source.endswith("/") if web else system.isfile(root):
            name = printable(unquote(urlsplit(root).path).rpartition("/")[2]) or "archive"
            system.get_file(root, str(target / name))
            return Fetched({name: shown(source)}, one_file=True)
        origins = {}
        for path in sorted(system.find(root)):
            name = unquote(path[len(root) :]) if web else path[len(root) :]
            name = printable(name.lstrip("/"))
            if name and path.startswith(root) and not is_clutter(name):  # ".." counts as hidden
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                system.get_file(path, str(target / name))
                origins[name] = shown(f"{source.rstrip('/')}/{name}")
    return Fetched(origins)


def _options(source: str) -> dict[str, Any]:
    if not source.lower().startswith("http"):
        return {"skip_instance_cache": True}
    from aiohttp import ClientTimeout  # its own default ends any download after five minutes

    timeout = ClientTimeout(total=None, sock_connect=SOCKET_SECONDS, sock_read=SOCKET_SECONDS)
    return {"skip_instance_cache": True, "client_kwargs": {"timeout": timeout}}
