"""One file from the first mirror or address that delivers it, checked against its checksum."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from gan.download.byte_progress import Meter, remark
from gan.download.http_transfer import receive
from gan.download.local_copy import copy_file
from gan.download.object_store import Store
from gan.download.partial_files import Partial
from gan.download.retry import Request, download
from gan.errors import Unreachable, UserError
from gan.files import users_path
from gan.urls import is_address, redacted

Receive = Callable[[Partial], None]  # one attempt to fill a file
Way = tuple[str, Receive]  # an address or path, and what fetches from it


@dataclass(frozen=True)
class Checksum:
    """The expected checksum of a file, in hexadecimal; ``known_by``: where it comes from."""

    kind: Literal["md5", "sha256"]
    value: str
    known_by: str

    def why_not(self, path: Path) -> str | None:
        """Return the error of a file, or None."""
        with open(path, "rb") as file:
            actual = hashlib.file_digest(
                file, partial(hashlib.new, self.kind, usedforsecurity=False)
            ).hexdigest()
        size = path.stat().st_size
        return None if actual == self.value else f"{self.kind} of its {size} bytes is {actual}, {self.wanted}"

    @property
    def wanted(self) -> str:
        """Return the expected checksum and its origin as text."""
        return f"{self.known_by} {self.value}"


def why_not(path: Path, checksums: Sequence[Checksum]) -> str | None:
    """Return the first checksum that a file does not match, or None."""
    return next((why for checksum in checksums if (why := checksum.why_not(path))), None)


def way(address: str, name: str) -> Way:
    """Return a way to get a file from an address or a local path."""
    if address.lower().startswith("file://"):
        address = unquote(urlsplit(address).path)
    if not is_address(address):
        return address, partial(_copy, users_path(address))
    if address.lower().startswith(("http://", "https://")):
        meter = Meter(name)
        return address, lambda partial_file: receive(address, partial_file, meter)
    store = Store(address)
    return address, lambda partial_file: store.receive(partial_file, Meter(name))


def with_mirrors(mirrors: Sequence[str], name: str, direct: Sequence[Way]) -> list[Way]:
    """Return the ways to get a file: from each mirror by its name, then its direct addresses."""
    return [*(way(_below(mirror, name), name) for mirror in mirrors), *direct]


def bring(name: str, ways: Sequence[Way], checksums: Sequence[Checksum], request: Request) -> Partial:
    """Return the whole file from the first way that delivers it. ``request.address`` does not matter.

    A partial file of a killed run is used. Raises UserError if no way delivers bytes that match
    ``checksums``; Unreachable if one of them may do so later.
    """
    partial_file = Partial(request.folder / name)
    if checksums and partial_file.size() and not why_not(partial_file.path, checksums):
        return partial_file
    failures: list[UserError] = []
    for number, (address, attempt) in enumerate(ways, start=1):
        try:
            _whole(partial_file, attempt, checksums, replace(request, address=address))
            return partial_file
        except UserError as error:
            failures.append(error)
            if number < len(ways):
                remark(f"{error}; now from {redacted(ways[number][0])}")
        except OSError:  # our disk: a full one is not to keep what it has no room for
            partial_file.discard()
            raise
    raise next((failure for failure in failures if isinstance(failure, Unreachable)), failures[-1])


def _whole(partial_file: Partial, attempt: Receive, checksums: Sequence[Checksum], request: Request) -> None:
    """Complete the file and check it. A mismatch is removed, and fetched again if only a part was new."""
    before = partial_file.size()
    download(request, lambda: attempt(partial_file), partial_file.size)
    why = why_not(partial_file.path, checksums)
    if why is None:
        return
    partial_file.discard()
    if not before:
        raise request.failure(why)
    remark(f"{redacted(request.address)}: {why}; all of it again")
    _whole(partial_file, attempt, checksums, request)


def _copy(path: Path, partial_file: Partial) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    partial_file.begin(str(path), None)
    copy_file(path, partial_file.path)


def _below(mirror: str, name: str) -> str:
    """Return the address of a file in a mirror, in front of a query if that has one."""
    if not is_address(mirror):
        return f"{mirror.rstrip('/')}/{name}"
    url = urlsplit(mirror)
    escaped = quote(name) if url.scheme.lower() in ("http", "https", "file") else name
    return urlunsplit(url._replace(path=f"{url.path.rstrip('/')}/{escaped}"))
