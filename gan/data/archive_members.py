"""One file of a source: of a folder, a zip or a tar, read once and never beyond a limit."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gan.data.file_names import HEAD, has_image_magic, has_image_name
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
    """Limits of a source: the params of the same names in section `data`."""

    max_files: int
    max_file_bytes: int
    max_bytes: int
    max_ratio: float

    def check_files(self, count: int) -> None:
        """Raise Beyond if the number of files is over the limit."""
        if count > self.max_files:
            raise Beyond(
                f"data.max_files: the source has more than {self.max_files} files; raise it if that is meant"
            )

    def check_bytes(self, name: str, count: int) -> None:
        """Raise Beyond if the unpacked bytes are over the limit."""
        if count > self.max_bytes:
            raise Beyond(
                f"data.max_bytes: {name} has more than {self.max_bytes} bytes unpacked; "
                "raise it if that is meant"
            )

    def check_stream(self, name: str, packed: int, count: int) -> None:
        """Raise Beyond if an archive of ``packed`` bytes unpacks to more than the allowed ratio."""
        self.check_bytes(name, count)
        if self.is_bomb(packed, count):
            raise Beyond(
                f"data.max_ratio: {name} unpacks to more than {self.max_ratio:g} times its "
                f"{packed} bytes; raise it if that is meant"
            )

    def is_bomb(self, packed: int, unpacked: int) -> bool:
        """Say whether the ratio of unpacking is suspicious; a few megabytes never are."""
        return unpacked > max(_HARMLESS, self.max_ratio * packed)


class Unreadable(Exception):
    """One file cannot be used; the text is the reason in its row of the manifest."""


class Readable(Protocol):
    """What a member's bytes are read from."""

    def read(self, count: int, /) -> bytes:
        """Return the next bytes, at most ``count``; none at the end."""
        ...


class Entry:
    """The bytes of the current tar entry; much faster than `extractfile`."""

    def __init__(self, stream: Readable, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, count: int) -> bytes:
        """Return the next bytes, at most ``count``. Raises ReadError when the tar ends before."""
        count = min(count, self.left)
        chunk = self.stream.read(count)
        if len(chunk) < count:
            raise tarfile.ReadError
        self.left -= count
        return chunk


class Member:
    """A file of a source. A tar's member can be read only until the next one is requested.

    ``stream``: the name of its tar, if any; damage there affects the whole archive.
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

    def read(self, count: int, /) -> bytes:
        """Return the next bytes, at most ``count``. Raises Unreadable as `content` does."""
        return self._read(count)

    def everything(self) -> bytes:
        """Return all bytes, whatever their number. Raises Unreadable as `content` does."""
        return self._head + self._read(self.size - len(self._head))

    def _read(self, count: int) -> bytes:
        try:
            if self._file is None:
                self._file = self._opener()
            if self._file is None:
                raise Unreadable("a broken link")
            return self._file.read(count)
        except READ_ERRORS as error:
            if self._stream:
                raise damaged(self._stream) from error
            raise Unreadable("damaged in the archive") from error


def damaged(name: str) -> UserError:
    """Return the error of an archive that cannot be read to its end."""
    return UserError(f"{name}: truncated or damaged archive; copy or download it again")
