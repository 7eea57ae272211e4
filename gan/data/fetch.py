"""Bring a source's bytes here: from a package, a published set, an address or a path. Nothing is unpacked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gan.data.copying import Skipped, copy_file, copy_tree
from gan.data.mirrors import Checksum, bring, way, why_not, with_mirrors
from gan.data.names import ARCHIVE_SUFFIXES, is_clutter, printable
from gan.data.network import LISTING_SECONDS, Place, download, is_address, shown
from gan.data.partial import downloads_of
from gan.data.published import fetch_published
from gan.data.remote import Store
from gan.data.sources import DIGITS_FILE, SOURCES
from gan.errors import UserError
from gan.files import users_path
from gan.stage import Progress, say


@dataclass(frozen=True)
class Fetched:
    """What a source gave: each file's origin, by relative path, and what was left out."""

    origins: dict[str, str]
    one_file: bool = False
    skipped: Skipped = field(default_factory=dict)


def fetch(
    source: str, target: Path, raw: Path, mirrors: Sequence[str] = (), sha256: str | None = None
) -> Fetched:
    """Fill the folder ``target`` with exactly what ``source`` gives.

    ``raw`` is the folder that this stage writes, which a source must not overlap. ``mirrors`` are
    asked first for files that have an address and a name; ``sha256`` is of the one file that the
    source is. Raises UserError, naming the source and its address, when it does not exist, cannot
    be reached, stalls, or is not what its checksum says.
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
    place = unquote(urlsplit(source).path) if local_address else source
    return _local(source, users_path(place), target, raw, pinned)


def _several(source: str) -> UserError:
    return UserError(
        f"data.sha256: {shown(source)} is not one file; set it to null, or give an archive as data.source"
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


def _local(source: str, path: Path, target: Path, raw: Path, pinned: Sequence[Checksum]) -> Fetched:
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
        _check(source, target / name, pinned)
        return Fetched({name: source}, one_file=True)
    if pinned:
        raise _several(source)
    skipped = copy_tree(path, target)
    names = sorted(found.relative_to(target).as_posix() for found in target.rglob("*") if found.is_file())
    return Fetched({name: f"{source.rstrip('/')}/{name}" for name in names}, skipped=skipped)


def _address(source: str, target: Path, mirrors: Sequence[str], pinned: Sequence[Checksum]) -> Fetched:
    """Fetch an archive, or a folder where the file system behind the address can list one."""
    if urlsplit(source).password:
        say(
            "download", "data.source holds a password, which git keeps; docs/sources.md says where it belongs"
        )
    place = Place(source, source, "check the address, or give a local copy's path", downloads_of(source))
    path = urlsplit(source).path
    web = source.lower().startswith("http")
    if web:
        one = not path.endswith("/") and path != ""
    else:  # an archive's name is believed: its mirror may answer where the address does not
        store = Store(source)
        one = path.lower().endswith(ARCHIVE_SUFFIXES) or download(place, store.is_file)
    if not one:
        if pinned:
            raise _several(source)
        return _listed(Store(source), place, target)
    name = printable(unquote(path) if web else path).rpartition("/")[2]
    name = "archive" if name in ("", ".", "..") else name
    bring(name, with_mirrors(mirrors, name, [way(source, name)]), pinned, place).give(target / name)
    return Fetched({name: shown(source)}, one_file=True)  # not the mirror: whichever answers


def _listed(store: Store, place: Place, target: Path) -> Fetched:
    """Fetch each file below an address, trying each again; a run that was killed starts the folder again."""
    found = download(place, store.find, patience=LISTING_SECONDS)
    named = {printable(store.name(path)): path for path in sorted(found)}
    wanted = {name: path for name, path in named.items() if name and not is_clutter(name)}  # nor ".."
    progress = Progress("download", len(wanted), "file")
    origins: dict[str, str] = {}
    skipped: Skipped = {}
    for count, (name, path) in enumerate(wanted.items(), start=1):
        progress.update(count)
        if found[path].get("type") != "file":
            skipped[name] = "not a regular file"
            continue
        attempt = partial(store.receive, path=path, size=found[path].get("size"))
        part = bring("file", [(place.source, attempt)], [], place)
        part.give(target / name)
        part.discard()
        origins[name] = f"{shown(place.source).rstrip('/')}/{name}"
    return Fetched(origins, skipped=skipped)
