"""One file of a source: of a folder, a zip or a tar, read once and never beyond a limit."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gan.data.names import HEAD, has_image_magic, has_image_name
from gan.errors import UserError

# What a damaged or foreign file raises while it is read: RuntimeError for a zip entry's password,
# NotImplementedError for a compression that Python lacks.
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
READ_ERRORS = (EOFError, OSError, RuntimeError, ValueError, *ARCHIVE_ERRORS)
_HARMLESS = 16_000_000  # bytes


class Beyond(UserError):
    """A source has more than its limits allow."""


@dataclass(frozen=True)
class Limits:
    """What a source may have at most: the params of these names in section `data`."""

    max_files: int
    max_file_bytes: int
    max_bytes: int
    max_ratio: float

    def check_files(self, count: int) -> None:
        """Raise Beyond when so many files are too many."""
        if count > self.max_files:
            raise Beyond(
                f"data.max_files: the source has more than {self.max_files} files; raise it if that is meant"
            )

    def check_bytes(self, name: str, count: int) -> None:
        """Raise Beyond when so many unpacked bytes are too many."""
        if count > self.max_bytes:
            raise Beyond(
                f"data.max_bytes: {name} has more than {self.max_bytes} bytes unpacked; "
                "raise it if that is meant"
            )

    def check_stream(self, name: str, packed: int, count: int) -> None:
        """Raise Beyond when an archive of ``packed`` bytes has unpacked to too many."""
        self.check_bytes(name, count)
        if self.is_bomb(packed, count):
            raise Beyond(
                f"data.max_ratio: {name} unpacks to more than {self.max_ratio:g} times its "
                f"{packed} bytes; raise it if that is meant"
            )

    def is_bomb(self, packed: int, unpacked: int) -> bool:
        """Say whether unpacking gives suspiciously much; a few megabytes never are."""
        return unpacked > max(_HARMLESS, self.max_ratio * packed)


class Unreadable(Exception):
    """One file cannot be used; the text is the reason that its row of the manifest gives."""


class Readable(Protocol):
    """What a member's bytes are read from."""

    def read(self, count: int, /) -> bytes:
        """Return the next bytes, at most ``count``; none at the end."""
        ...


class Member:
    """A file of a source. Of a tar's it can be read only until the next one is asked for.

    ``stream`` is the name of the tar it is read from, if any: damage there is the whole archive's.
    """

    def __init__(
        self, path: str, size: int, opener: Callable[[], Readable | None], stream: str | None = None
    ) -> None:
        self.path, self.size, self._opener, self._stream = path, size, opener, stream
        self.packed = size  # bytes that it takes in the archive
        self._file: Readable | None = None
        self._head = b""

    def is_image(self) -> bool:
        """Say whether this is an image, by its extension or else by its first bytes."""
        if has_image_name(self.path):
            return True
        try:
            self._head = self._read(HEAD)
        except Unreadable:
            return False
        return has_image_magic(self._head)

    def content(self, limits: Limits) -> bytes:
        """Return the file's bytes. Raises Unreadable when it is a link, damaged, or over the limits."""
        limit = limits.max_file_bytes
        if limits.is_bomb(self.packed, self.size):
            raise Unreadable("packed too tightly")
        if self.size > limit:
            raise Unreadable("too many bytes")
        content = self._head + self._read(limit + 1 - len(self._head))
        if len(content) > limit:  # the size in a zip's table may be a lie
            raise Unreadable("too many bytes")
        return content

    def _read(self, count: int) -> bytes:
        try:
            if self._file is None:
                self._file = self._opener()
            if self._file is None:
                raise Unreadable("a link")
            return self._file.read(count)
        except READ_ERRORS as error:
            if self._stream:
                raise damaged(self._stream) from error
            raise Unreadable("damaged in the archive") from error


def damaged(name: str) -> UserError:
    """Return the error of an archive that cannot be read to its end."""
    return UserError(f"{name}: truncated or damaged archive; copy or download it again")
