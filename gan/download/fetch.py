"""Fetching a source to data/raw: from a package, a published set, an address or a path; no unpacking."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gan.data.clutter import is_clutter
from gan.data.datasets import DIGITS_FILE, SOURCES
from gan.data.file_names import ARCHIVE_SUFFIXES, printable
from gan.data.lookalikes import printed
from gan.download.local_copy import Skipped, copy_file, copy_tree
from gan.download.mirrors import Checksum, bring, way, why_not, with_mirrors
from gan.download.object_store import Store
from gan.download.partial_files import downloads_of
from gan.download.published_sets import fetch_published
from gan.download.retry import LISTING_SECONDS, Request, download
from gan.errors import UserError
from gan.files import users_path
from gan.stage import Progress, say
from gan.urls import is_address, redacted


@dataclass(frozen=True)
class Fetched:
    """The result of a fetch: each file's origin, by relative path, and the skipped files."""

    origins: dict[str, str]
    one_file: bool = False
    skipped: Skipped = field(default_factory=dict)
    clutter: dict[str, int] = field(default_factory=dict)  # other programs' files, counted
    links: int = 0  # that were followed


def fetch(
    source: str,
    target: Path,
    raw: Path,
    mirrors: Sequence[str] = (),
    sha256: str | None = None,
    *,
    follow_links: bool = True,
) -> Fetched:
    """Fill the folder ``target`` with exactly what ``source`` gives.

    ``raw`` is the folder that this stage writes, which a source must not overlap. ``mirrors`` are
    asked first for files that have an address and a name; ``sha256`` is of the one file that the
    source is; ``follow_links``: those that lead out of a folder of this machine. Raises UserError,
    naming the source and its address, when it does not exist, cannot be reached, stalls, or is not
    what its checksum says.
    """
    pinned = [Checksum("sha256", sha256, "data.sha256 is")] if sha256 else []
    if source in SOURCES and pinned and len(SOURCES[source].files) > 1:
        raise _several(source)
    if source == "digits":
        return _digits(target, pinned)
    if source in SOURCES:
        return Fetched(fetch_published(source, target, downloads_of(source), mirrors, pinned))
    local_address = source.lower().startswith("file://")
    if is_address(source) and not local_address:
        return _address(source, target, mirrors, pinned)
    path = unquote(urlsplit(source).path) if local_address else source
    return _local(source, users_path(path), target, raw, pinned, follow_links)


def _several(source: str) -> UserError:
    return UserError(
        f"data.sha256: {redacted(source)} is not one file; set it to null, or give an archive as data.source"
    )


def _check(source: str, path: Path, pinned: Sequence[Checksum]) -> None:
    if why := why_not(path, pinned):
        raise UserError(f"data.sha256: {source}: {why}; another file than was meant, or correct data.sha256")


def _digits(target: Path, pinned: Sequence[Checksum]) -> Fetched:
    package = find_spec("sklearn")  # found, not imported: that costs seconds
    if package is None or package.origin is None:
        raise UserError(
            "data.source: digits come with scikit-learn, which is not installed; run `make setup`"
        )
    copy_file(Path(package.origin).parent / "datasets" / "data" / DIGITS_FILE, target / DIGITS_FILE)
    _check("digits", target / DIGITS_FILE, pinned)
    return Fetched({DIGITS_FILE: f"scikit-learn: datasets/data/{DIGITS_FILE}"})


def _local(
    source: str, path: Path, target: Path, raw: Path, pinned: Sequence[Checksum], follow_links: bool
) -> Fetched:
    if not path.exists():
        raise UserError(
            f"data.source: {source!r} is neither a path that exists here nor one of "
            f"{', '.join(SOURCES)}; correct it{_alike(path)}"
        )
    resolved, raw_resolved = path.resolve(), raw.resolve()
    if resolved.is_relative_to(raw_resolved) or raw_resolved.is_relative_to(resolved):
        raise UserError(f"data.source: {source} overlaps {raw}, which this stage writes; move the images")
    if not path.is_dir():
        name = printable(path.name)
        copy_file(path, target / name)
        _check(source, target / name, pinned)
        return Fetched({name: source}, one_file=True)
    if pinned:
        raise _several(source)
    copied = copy_tree(path, target, follow=follow_links)
    names = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    origins = {name: f"{source.rstrip('/')}/{name}" for name in names}
    return Fetched(origins, skipped=copied.skipped, clutter=dict(copied.clutter), links=copied.links)


def _alike(path: Path) -> str:
    """Say that there is a file or folder whose name prints like that of a missing one."""
    with suppress(OSError):
        for name in sorted(os.listdir(path.parent)):
            if printed(name) == printed(path.name):
                return f": there is {name!a}, which prints like {path.name!a}"
    return ""


def _address(source: str, target: Path, mirrors: Sequence[str], pinned: Sequence[Checksum]) -> Fetched:
    """Fetch an archive, or a folder if the file system behind the address can list it."""
    if urlsplit(source).password:
        say(
            "download", "data.source holds a password, which git keeps; docs/sources.md says where it belongs"
        )
    request = Request(source, source, "check the address, or give a local copy's path", downloads_of(source))
    path = urlsplit(source).path
    web = source.lower().startswith("http")
    if web:
        one = not path.endswith("/") and path != ""
    else:  # an archive's name is believed: its mirror may answer where the address does not
        store = Store(source)
        one = path.lower().endswith(ARCHIVE_SUFFIXES) or download(request, store.is_file)
    if not one:
        if pinned:
            raise _several(source)
        return _listed(Store(source), request, target)
    name = printable(unquote(path) if web else path).rpartition("/")[2]
    name = "archive" if name in ("", ".", "..") else name
    bring(name, with_mirrors(mirrors, name, [way(source, name)]), pinned, request).give(target / name)
    return Fetched({name: redacted(source)}, one_file=True)  # not the mirror: whichever answers


def _listed(store: Store, request: Request, target: Path) -> Fetched:
    """Fetch each file below an address, with retries; after a kill the folder starts again."""
    remote_files = download(request, store.find, patience=LISTING_SECONDS)
    named = {printable(store.name(path)): path for path in sorted(remote_files)}
    wanted = {name: path for name, path in named.items() if name and not is_clutter(name)}  # nor ".."
    progress = Progress("download", len(wanted), "file")
    origins: dict[str, str] = {}
    skipped: Skipped = {}
    for count, (name, path) in enumerate(wanted.items(), start=1):
        progress.update(count)
        if remote_files[path].get("type") != "file":
            skipped[name] = "not a regular file"
            continue
        attempt = partial(store.receive, path=path, size=remote_files[path].get("size"))
        partial_file = bring("file", [(request.source, attempt)], [], request)
        partial_file.give(target / name)
        partial_file.discard()
        origins[name] = f"{redacted(request.source).rstrip('/')}/{name}"
    return Fetched(origins, skipped=skipped)
