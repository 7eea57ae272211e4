"""One file of a source: of a folder, a zip or a tar, read once and never beyond a limit."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import IO

from gan.data.names import HEAD, has_image_magic, has_image_name
from gan.errors import UserError

# What a damaged or foreign file raises while it is read: RuntimeError for a zip entry's password,
# NotImplementedError for a compression that Python lacks.
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
READ_ERRORS = (EOFError, OSError, RuntimeError, ValueError, *ARCHIVE_ERRORS)


class Unreadable(Exception):
    """One file cannot be used; the text is the reason that its row of the manifest gives."""


class Member:
    """A file of a source. Of a tar's it can be read only until the next one is asked for.

    ``stream`` is the name of the tar it is read from, if any: damage there is the whole archive's.
    """

    def __init__(
        self, path: str, size: int, opener: Callable[[], IO[bytes] | None], stream: str | None = None
    ) -> None:
        self.path, self.size, self._opener, self._stream = path, size, opener, stream
        self._file: IO[bytes] | None = None
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

    def content(self, limit: int) -> bytes:
        """Return the file's bytes. Raises Unreadable when it is a link, damaged, or over ``limit`` bytes."""
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
