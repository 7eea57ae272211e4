"""Partial downloads: a growing file, and a record of the version that it belongs to."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gan.errors import UserError
from gan.files import RUNS, read_json, write_json

DOWNLOADS = RUNS / "downloads"  # outlives a killed run, unlike an out of DVC's


def downloads_of(source: str) -> Path:
    """Return the folder for partial files of ``source``; those of other sources are removed."""
    folder = DOWNLOADS / hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:16]
    for other in DOWNLOADS.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def forget_downloads() -> None:
    """Remove all partial files, after the stage has everything."""
    shutil.rmtree(DOWNLOADS, ignore_errors=True)


class Partial:
    """A partial file, and beside it a record of the version on the server.

    The record is written before the first byte. A file without a matching record is never extended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._record = path.with_name(f"{path.name}.json")

    def size(self) -> int:
        """Return the number of bytes present."""
        return self.path.stat().st_size if self.path.exists() else 0

    def version(self, address: str) -> str | None:
        """Return the version (ETag or date) of ``address`` that this is a part of."""
        if self.size() and self.path.stat().st_nlink > 1:  # also in data/raw: not to be written to
            return None
        with suppress(UserError):
            record = read_json(self._record)
            if isinstance(record, dict) and record.get("address") == _hash(address):
                version = record.get("version")
                return version if isinstance(version, str) else None
        return None

    def begin(self, address: str, version: str | None) -> None:
        """Start a new, empty file for a version of ``address``."""
        self.discard()
        write_json(self._record, {"address": _hash(address), "version": version})

    @contextmanager
    def adding(self, start: int) -> Iterator[BinaryIO]:
        """Open the file to write after its first ``start`` bytes."""
        with open(self.path, "r+b" if start else "wb") as file:
            file.truncate(start)
            file.seek(start)
            yield file

    def discard(self) -> None:
        """Remove the file and its record."""
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)

    def give(self, target: Path) -> None:
        """Link the whole file to ``target``, so that a run killed later still has it."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self.path, target)
        except OSError:  # another file system, or one without links
            shutil.move(self.path, target)


def _hash(address: str) -> str:
    """Return a hash that represents an address on disk, because the address may contain a key."""
    return hashlib.sha256(address.encode(errors="surrogateescape")).hexdigest()
