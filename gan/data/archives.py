"""Archives read as streams: never unpacked to disk, and refused as a whole if an entry points outside."""

import bz2
import gzip
import io
import lzma
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Self, cast

from gan.data.archive_members import READ_ERRORS, Entry, Limits, Member, Readable, Unreadable, damaged
from gan.data.file_names import ARCHIVE_SUFFIXES, LFS_POINTER, has_image_name, is_lfs_pointer, printable
from gan.data.read_ahead import Ahead
from gan.data.zip_names import entry_names
from gan.errors import UserError

_READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_METHODS = {9: "Deflate64", 1: "Shrink", 6: "Implode", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES"}
_LINK_BYTES = 4096  # longest target of a link that is read
# What nearly every tar's header is: a file's, all numbers octal, no prefix; size and checksum are taken out.
_OCTAL, _LONG = rb"[0-7]{6}[0-7 \0][ \0]", rb"[0-7]{11}[ \0]"
_PLAIN = re.compile(
    rb".{100}(?:%b){3}(%b)%b(%b)[0\0].{172}(?:%b|\0{8}){2}\0.{166}" % (_OCTAL, _LONG, _LONG, _OCTAL, _OCTAL),
    re.DOTALL,
)


def members(path: Path, limits: Limits | None = None, page: str | None = None) -> Iterator[Member]:
    """Yield an archive's files in its own order, then its links, each with what it points to in it.

    Of archives in it (a zip in a zip, a tar in either) the files, below a folder of its name, unless
    images stand beside them: then they are copies, or no part of the set.
    ``page``: the code page of a zip's names that do not say it; None: guessed.

    The kind is told from the content. Raises UserError when it is no archive, is truncated or
    damaged, needs a password, has an entry or a link that points out of it, or, where ``limits``
    are given, as soon as it is beyond them.
    """
    with open(path, "rb") as file:
        head = file.read(64)
    if is_lfs_pointer(head):
        raise UserError(f"{path.name}: {LFS_POINTER}")
    if head[:4] in (b"PK\3\4", b"PK\5\6", b"PK\7\x08"):
        entries = _zip_members(path, limits, page)
    else:
        entries = _tar_members(path, head, limits)
    for number, member in enumerate(entries):
        if limits:
            limits.check_files(number + 1)
        yield member


def folder_of(path: str) -> str | None:
    """Return an archive's path without its suffix; None of what is no archive by its name."""
    suffix = next((each for each in ARCHIVE_SUFFIXES if path.lower().endswith(each)), None)
    return path[: -len(suffix)] if suffix else None


def _zip_members(
    path: Path, limits: Limits | None, page: str | None, inner: IO[bytes] | None = None
) -> Iterator[Member]:
    """Yield a zip's files; ``inner``: of a zip within the zip ``path``."""
    with _whole(path):
        archive = zipfile.ZipFile(inner or path)
    with archive:
        if limits:
            limits.check_bytes(path.name, sum(info.file_size for info in archive.infolist()))
        infos = archive.infolist()
        names = [_inside(path, name) for name in entry_names(infos, page)]
        info_by_name = dict(zip(names, infos, strict=True))
        nested = inner is None and not any(map(has_image_name, names))
        links: dict[str, str] = {}
        for name, info in zip(names, infos, strict=True):
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                raise UserError(f"{path.name}: {name} needs a password; give an archive without one")
            if info.compress_type not in _READABLE:
                raise _packed_otherwise(path, name, info.compress_type)
            if stat.S_ISLNK(info.external_attr >> 16):
                with _whole(path), archive.open(info) as file:
                    target = file.read(_LINK_BYTES).decode(errors="replace")
                links[name] = _goal(path, name, posixpath.dirname(name), target)
                continue
            if nested and (folder := folder_of(name)):
                with _whole(path), archive.open(info) as file:
                    zipped = name.lower().endswith(".zip")
                    entries = (
                        _zip_members(path, limits, page, file) if zipped else _inner_tar(path, file, limits)
                    )
                    for member in entries:
                        member.path = f"{folder}/{member.path}"
                        yield member
                continue
            yield _zip_member(archive, name, info)
        for name in links:
            goal = info_by_name.get(_end(name, links))
            whole = goal is not None and not goal.is_dir()
            yield _zip_member(archive, name, goal) if goal and whole else Member(name, 0, lambda: None)


def _zip_member(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Member:
    member = Member(name, info.file_size, lambda: archive.open(info))
    member.packed = info.compress_size
    return member


def _packed_otherwise(path: Path, name: str, method: int) -> UserError:
    """Return the error of a zip whose entries are packed in a way that cannot be read here."""
    kind = _METHODS.get(method, f"method {method}")
    return UserError(
        f"{path.name}: {name} is packed by {kind}, which cannot be read here; unpack the archive "
        f"(`7z x {path.name}`) and give the folder as data.source, or pack it again with Deflate"
    )


def _end(name: str, links: Mapping[str, str]) -> str:
    """Follow links within an archive to the end; a loop ends where it began."""
    seen = {name}
    goal = links[name]
    while goal in links and goal not in seen:
        seen.add(goal)
        goal = links[goal]
    return goal


def _tar_members(path: Path, head: bytes, limits: Limits | None) -> Iterator[Member]:
    """Yield a tar's files, then its links by a second reading: each with the content of what it points to."""
    links: dict[str, str] = {}
    nested = True
    for info, member in _tar_entries(path, head, limits):
        if member is not None:
            nested = nested and not has_image_name(member.path)
            folder = folder_of(member.path) if nested and not member.path.lower().endswith(".zip") else None
            for each in _inner_tar(path, member, limits) if folder else [member]:
                each.path = f"{folder}/{each.path}" if folder else each.path
                yield each
        elif info.issym() or info.islnk():  # a symbolic one counts from its folder, a hard one from the top
            name = _inside(path, info.name)
            folder = posixpath.dirname(name) if info.issym() else ""
            links[name] = _goal(path, name, folder, info.linkname)
    if not links:
        return
    names: dict[str, list[str]] = {}
    for name in links:
        names.setdefault(_end(name, links), []).append(name)
    for _, member in _tar_entries(path, head, limits):
        if member is None:
            continue
        opener = _again(member)  # one for all links to it
        for name in names.pop(member.path, []):
            yield Member(name, member.size, opener, stream=path.name)
    for name in sorted(name for left in names.values() for name in left):
        yield Member(name, 0, lambda: None)


def _inner_tar(path: Path, file: Readable, limits: Limits | None) -> Iterator[Member]:
    """Yield the files of a tar within the archive ``path``, in one reading, so without its links."""
    with _whole(path):
        tar = tarfile.open(fileobj=cast(IO[bytes], file), mode="r|*", tarinfo=_Header)  # noqa: SIM115
    size = 0
    while True:
        with _whole(path):
            info = tar.next()
            tar.members.clear()  # type: ignore[attr-defined]
        if info is None:
            return
        size += info.size
        if limits:
            limits.check_bytes(path.name, size)
        if info.isreg():
            yield Member(
                _inside(path, info.name), info.size, partial(tar.extractfile, info), stream=path.name
            )


def _again(member: Member) -> Callable[[], Readable]:
    """Return what opens a tar's file however often, though the tar itself is read once."""
    cached: list[bytes] = []

    def opened() -> Readable:
        if not cached:
            cached.append(member.everything())
        return io.BytesIO(cached[0])

    return opened


def _tar_entries(
    path: Path, head: bytes, limits: Limits | None
) -> Iterator[tuple[tarfile.TarInfo, Member | None]]:
    packed = path.stat().st_size

    def check(count: int) -> None:
        if limits:
            limits.check_stream(path.name, packed, count)

    with closing(Ahead(_decompressed(path, head), check)) as file:
        with _whole(path, kind=f"not an archive that can be read ({' '.join(ARCHIVE_SUFFIXES)})"):
            tar = tarfile.TarFile(fileobj=cast(IO[bytes], file), tarinfo=_Header)
        with _whole(path):
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # or they pile up, a kilobyte each
                yield info, _tar_member(path, tar, info)
            # A whole tar ends in a block of zeros, which has been read but not counted.
            if tar.fileobj is None or tar.fileobj.tell() <= tar.offset:
                raise tarfile.ReadError
            while file.read(1 << 20):  # to the end, where the compression has its checksum
                pass


def _decompressed(path: Path, head: bytes) -> IO[bytes]:
    """Open a file, decompressed; these read files of several streams and notice a missing end."""
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path))
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.open(path)
    return bz2.open(path) if head.startswith(b"BZh") else open(path, "rb")


def _tar_member(path: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member | None:
    name = _inside(path, info.name)
    return Member(name, info.size, lambda: _opened(tar, info), stream=path.name) if info.isreg() else None


class _Header(tarfile.TarInfo):
    """A tar's header; a plain file's is read in a fifth of the time, without owner, mode and time."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the header in a block of bytes. Raises HeaderError if it is not one."""
        plain = _PLAIN.fullmatch(buf)
        if plain is None:
            return super().frombuf(buf, encoding, errors)
        name = bytes(buf[:100]).partition(b"\0")[0].decode(encoding, errors)
        checksum = int(plain[2].rstrip(b" \0"), 8)
        # The checksum counts its own eight bytes as spaces. Adler-32's lower half is one more than the
        # sum of the bytes, modulo 65521: exactly that for 256 bytes.
        total = (zlib.adler32(buf[:256]) & 0xFFFF) + (zlib.adler32(buf[256:]) & 0xFFFF) - 2
        if total - sum(plain[2]) + 8 * 32 != checksum or name.endswith("/"):
            return super().frombuf(buf, encoding, errors)
        header = cls(name)
        header.size, header.chksum, header.type = int(plain[1][:11], 8), checksum, bytes(buf[156:157])
        return header


def _opened(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Readable | None:
    if info.issparse() or tar.fileobj is None:
        return tar.extractfile(info)
    return Entry(cast(Readable, tar.fileobj), info.size)


def _inside(path: Path, name: str) -> str:
    """Return an entry's name as a clean relative path. Raises UserError if it points outside the archive."""
    normal = posixpath.normpath(name)
    if _escapes(name, normal):
        raise UserError(f"{path.name}: entry {printable(name)} points out of the archive; do not use it")
    return printable(normal)


def _goal(path: Path, name: str, folder: str, target: str) -> str:
    """Return the entry that a link points to. Raises UserError when it leaves the archive."""
    if target.startswith("/") or _leaves(posixpath.join(folder, target)):
        raise UserError(
            f"{path.name}: link {name} to {printable(target)} points out of the archive; do not use it"
        )
    return printable(posixpath.normpath(posixpath.join(folder, target)))


def _leaves(name: str) -> bool:
    return _escapes(name, posixpath.normpath(name))


def _escapes(name: str, normal: str) -> bool:
    absolute = name.startswith("/") or (name[1:2] == ":" and re.match(r"[A-Za-z]:[/\\]", name))
    return bool(absolute) or normal == ".." or normal.startswith("../")


@contextmanager
def _whole(path: Path, kind: str | None = None) -> Iterator[None]:
    """Turn the errors of a broken archive into one line for the user."""
    try:
        yield
    except (*READ_ERRORS, Unreadable) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the archive
            raise
        if kind and isinstance(error, tarfile.ReadError):
            raise UserError(f"{path.name}: {kind}") from error
        raise damaged(path.name) from error
