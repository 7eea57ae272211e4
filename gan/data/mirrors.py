"""One file from the first of several places that gives its bytes, held to its checksum."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from gan.data.copying import copy_file
from gan.data.meter import Meter, remark
from gan.data.network import Place, download, is_address, shown
from gan.data.partial import Partial
from gan.data.remote import Store
from gan.data.web import receive
from gan.errors import Unreachable, UserError
from gan.files import users_path

Receive = Callable[[Partial], None]  # one attempt to fill a file
Way = tuple[str, Receive]  # an address or path, and what fetches from it


@dataclass(frozen=True)
class Checksum:
    """What a file's bytes must hash to, in hexadecimal; ``known_by`` says who wants that."""

    kind: Literal["md5", "sha256"]
    value: str
    known_by: str

    def why_not(self, path: Path) -> str | None:
        """Say what is wrong with a file, or None."""
        with open(path, "rb") as file:
            found = hashlib.file_digest(
                file, partial(hashlib.new, self.kind, usedforsecurity=False)
            ).hexdigest()
        size = path.stat().st_size
        return None if found == self.value else f"{self.kind} of its {size} bytes is {found}, {self.wanted}"

    @property
    def wanted(self) -> str:
        """Say who expects what."""
        return f"{self.known_by} {self.value}"


def why_not(path: Path, checksums: Sequence[Checksum]) -> str | None:
    """Say which checksum a file does not fit, or None."""
    return next((why for checksum in checksums if (why := checksum.why_not(path))), None)


def way(address: str, name: str) -> Way:
    """Return how a file is got from an address, or from a path here."""
    if address.lower().startswith("file://"):
        address = unquote(urlsplit(address).path)
    if not is_address(address):
        return address, partial(_copy, users_path(address))
    if address.lower().startswith(("http://", "https://")):
        meter = Meter(name)
        return address, lambda part: receive(address, part, meter)
    store = Store(address)
    return address, lambda part: store.receive(part, Meter(name))


def with_mirrors(mirrors: Sequence[str], name: str, own: Sequence[Way]) -> list[Way]:
    """Return the ways to get a file by its name: from each mirror, then its own."""
    return [*(way(_below(mirror, name), name) for mirror in mirrors), *own]


def bring(name: str, ways: Sequence[Way], checksums: Sequence[Checksum], place: Place) -> Partial:
    """Return the whole file from the first way that gives it. ``place.address`` does not matter.

    What came of it in a run that was killed is used. Raises UserError when no way gives bytes that fit
    ``checksums``: Unreachable if one of them may later.
    """
    part = Partial(place.folder / name)
    if checksums and part.size() and not why_not(part.path, checksums):
        return part
    failures: list[UserError] = []
    for number, (address, attempt) in enumerate(ways, start=1):
        try:
            _whole(part, attempt, checksums, replace(place, address=address))
            return part
        except UserError as error:
            failures.append(error)
            if number < len(ways):
                remark(f"{error}; now from {shown(ways[number][0])}")
        except OSError:  # our disk: a full one is not to keep what it has no room for
            part.discard()
            raise
    raise next((failure for failure in failures if isinstance(failure, Unreachable)), failures[-1])


def _whole(part: Partial, attempt: Receive, checksums: Sequence[Checksum], place: Place) -> None:
    """Fill ``part`` and check it; what does not fit is removed, and fetched again if only a part was new."""
    before = part.size()
    download(place, lambda: attempt(part), part.size)
    why = why_not(part.path, checksums)
    if why is None:
        return
    part.discard()
    if not before:
        raise place.failure(why)
    remark(f"{shown(place.address)}: {why}; all of it again")
    _whole(part, attempt, checksums, place)


def _copy(path: Path, part: Partial) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    part.begin(str(path), None)
    copy_file(path, part.path)


def _below(mirror: str, name: str) -> str:
    """Return the address of a file in a mirror, in front of a query if that has one."""
    if not is_address(mirror):
        return f"{mirror.rstrip('/')}/{name}"
    parts = urlsplit(mirror)
    escaped = quote(name) if parts.scheme.lower() in ("http", "https", "file") else name
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{escaped}"))
