"""Archives read as streams: never unpacked to disk, and refused whole if an entry points out of them."""

import bz2
import gzip
import lzma
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Self, cast

from gan.data.ahead import Ahead
from gan.data.members import READ_ERRORS, Limits, Member, Readable, damaged
from gan.data.names import ARCHIVE_SUFFIXES, printable
from gan.errors import UserError

_LINK_BYTES = 4096  # longest target of a link that is read
# What nearly every tar's header is: a file's, all numbers octal, no prefix; size and checksum are taken out.
_OCTAL, _LONG = rb"[0-7]{6}[0-7 \0][ \0]", rb"[0-7]{11}[ \0]"
_PLAIN = re.compile(
    rb".{100}(?:%b){3}(%b)%b(%b)[0\0].{172}(?:%b|\0{8}){2}\0.{166}" % (_OCTAL, _LONG, _LONG, _OCTAL, _OCTAL),
    re.DOTALL,
)


def members(path: Path, limits: Limits | None = None) -> Iterator[Member]:
    """Yield an archive's files in its own order; links inside it too, which refuse to be read.

    The kind is told from the content. Raises UserError when it is no archive, is truncated or
    damaged, needs a password, has an entry or a link that points out of it, or, where ``limits``
    are given, as soon as it is beyond them.
    """
    with open(path, "rb") as file:
        head = file.read(6)
    if head[:4] in (b"PK\3\4", b"PK\5\6", b"PK\7\x08"):
        found = _zip_members(path, limits)
    else:
        found = _tar_members(path, head, limits)
    for number, member in enumerate(found):
        if limits:
            limits.check_files(number + 1)
        yield member


def _zip_members(path: Path, limits: Limits | None) -> Iterator[Member]:
    with _whole(path):
        archive = zipfile.ZipFile(path)
    with archive:
        if limits:
            limits.check_bytes(path.name, sum(info.file_size for info in archive.infolist()))
        for info in archive.infolist():
            name = _inside(path, info.filename.replace("\\", "/"))
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                raise UserError(f"{path.name}: {name} needs a password; give an archive without one")
            if stat.S_ISLNK(info.external_attr >> 16):
                with _whole(path), archive.open(info) as file:
                    target = file.read(_LINK_BYTES).decode(errors="replace")
                yield _link(path, name, posixpath.dirname(name), target)
            else:
                member = Member(name, info.file_size, lambda info=info: archive.open(info))  # type: ignore[misc]
                member.packed = info.compress_size
                yield member


def _tar_members(path: Path, head: bytes, limits: Limits | None) -> Iterator[Member]:
    packed = path.stat().st_size

    def check(count: int) -> None:
        if limits:
            limits.check_stream(path.name, packed, count)

    with closing(Ahead(_decompressed(path, head), check)) as file:
        with _whole(path, kind=f"not an archive that can be read ({' '.join(ARCHIVE_SUFFIXES)})"):
            tar = tarfile.TarFile(fileobj=cast(IO[bytes], file), tarinfo=_Header)
        while True:
            with _whole(path):
                info = tar.next()
                tar.members.clear()  # type: ignore[attr-defined]  # or they pile up, a kilobyte each
                if info is None:
                    # A whole tar ends in a block of zeros, which has been read but not counted.
                    if tar.fileobj is None or tar.fileobj.tell() <= tar.offset:
                        raise tarfile.ReadError
                    while file.read(1 << 20):  # to the end, where the compression has its checksum
                        pass
                    return
            yield from _tar_member(path, tar, info)


def _decompressed(path: Path, head: bytes) -> IO[bytes]:
    """Open a file, decompressed; these read files of several streams and notice a missing end."""
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path))
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.open(path)
    return bz2.open(path) if head.startswith(b"BZh") else open(path, "rb")


def _tar_member(path: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[Member]:
    name = _inside(path, info.name)
    if info.issym() or info.islnk():  # a symbolic one counts from its folder, a hard one from the top
        yield _link(path, name, posixpath.dirname(name) if info.issym() else "", info.linkname)
    elif info.isreg():
        yield Member(name, info.size, lambda: _opened(tar, info), stream=path.name)


class _Header(tarfile.TarInfo):
    """A tar's header; a plain file's is read in a fifth of the time, without owner, mode and time."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the header of a block of bytes. Raises HeaderError when it is none."""
        plain = _PLAIN.fullmatch(buf)
        if plain is None:
            return super().frombuf(buf, encoding, errors)
        name = bytes(buf[:100]).partition(b"\0")[0].decode(encoding, errors)
        checksum = int(plain[2].rstrip(b" \0"), 8)
        # The checksum counts its own eight bytes as spaces. Adler-32's lower half is one more than the
        # sum of the bytes, modulo 65521: exactly that for 256 bytes.
        total = sum((zlib.adler32(half) & 0xFFFF) - 1 for half in (buf[:256], buf[256:]))
        if total - sum(plain[2]) + 8 * 32 != checksum or name.endswith("/"):
            return super().frombuf(buf, encoding, errors)
        header = cls(name)
        header.size, header.chksum, header.type = int(plain[1][:11], 8), checksum, bytes(buf[156:157])
        return header


class _Entry:
    """The bytes of a tar's entry that has just been found; what `extractfile` gives takes much longer."""

    def __init__(self, stream: Readable, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, count: int) -> bytes:
        """Return the next bytes, at most ``count``. Raises ReadError when the tar ends before."""
        count = min(count, self.left)
        part = self.stream.read(count)
        if len(part) < count:
            raise tarfile.ReadError
        self.left -= count
        return part


def _opened(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Readable | None:
    if info.issparse() or tar.fileobj is None:
        return tar.extractfile(info)
    return _Entry(cast(Readable, tar.fileobj), info.size)


def _inside(path: Path, name: str) -> str:
    """Return an entry's name as a clean relative path. Raises UserError when it leaves the archive."""
    normal = posixpath.normpath(name)
    if _escapes(name, normal):
        raise UserError(f"{path.name}: entry {printable(name)} points out of the archive; do not use it")
    return printable(normal)


def _link(path: Path, name: str, folder: str, target: str) -> Member:
    """Return a link as a file that refuses to be read. Raises UserError when it leaves the archive."""
    if target.startswith("/") or _leaves(posixpath.join(folder, target)):
        raise UserError(
            f"{path.name}: link {name} to {printable(target)} points out of the archive; do not use it"
        )
    return Member(name, 0, lambda: None)


def _leaves(name: str) -> bool:
    return _escapes(name, posixpath.normpath(name))


def _escapes(name: str, normal: str) -> bool:
    absolute = name.startswith("/") or (name[1:2] == ":" and re.match(r"[A-Za-z]:[/\\]", name))
    return bool(absolute) or normal == ".." or normal.startswith("../")


@contextmanager
def _whole(path: Path, kind: str | None = None) -> Iterator[None]:
    """Turn what a broken archive raises into the user's one line."""
    try:
        yield
    except READ_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the archive
            raise
        if kind and isinstance(error, tarfile.ReadError):
            raise UserError(f"{path.name}: {kind}") from error
        raise damaged(path.name) from error
