"""Contents of a downloaded source: number of images, licence, and entries of an archive."""

import posixpath
import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from gan.data.archive_members import Beyond, Limits, Member, Unreadable
from gan.data.archives import members
from gan.data.clutter import clutter_of, is_clutter
from gan.data.datasets import Kind
from gan.data.file_names import printable
from gan.data.inventory import Contents, folder_members
from gan.data.packed_names import is_packed
from gan.data.zip_names import entry_names

_LISTED = 100_000  # entries of an archive that are told apart when it changed; beyond, it is one file
_LICENCE = re.compile(r"(licen[sc]e|copying)([.-].*)?", re.IGNORECASE)
_README = re.compile(r"readme([.-].*)?", re.IGNORECASE)
_TEXT_BYTES = 100_000  # longest licence or readme that is read
# Beyond these a look would take hours; they are wider than anyone's params, by which `prepare` judges.
_SANE = Limits(max_files=100_000_000, max_file_bytes=_TEXT_BYTES, max_bytes=10**15, max_ratio=1000)
_ID = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
_SPDX = re.compile(rf"SPDX-License-Identifier:[ \t]*({_ID}(?: (?:AND|OR|WITH) {_ID})*)")


def look_into(files: Path, kind: Kind, paths: list[str]) -> Contents:
    """Examine the files ``paths`` of the folder ``files``. Archives are read as streams, not unpacked.

    An archive that would unpack to a thousand times its size is not examined, because `prepare` refuses it.
    Raises UserError if an archive is damaged, unsafe or needs a password.
    """
    if kind not in ("archive", "folder"):
        return Contents()
    try:
        if kind == "folder":
            return _look(folder_members(files, paths, _SANE), {})
        archive = files / paths[0]
        return _look(members(archive, _SANE), _crcs(archive))
    except Beyond:
        return Contents()


def _look(members: Iterable[Member], crcs: dict[str, str]) -> Contents:
    packed = 0
    counts, clutter = [0, 0], Counter[str]()
    licences: list[
        tuple[int, bool, str, str]
    ] = []  # how deep, no licence file but a readme, path, what it says
    entries: dict[str, str] | None = {}
    for member in members:
        if kind := clutter_of(member.path):
            clutter[kind] += 1
        packed += kind is None and is_packed(member.path)
        image = kind is None and member.is_image()
        counts[image] += 1
        if entries is not None:
            entries[member.path] = f"{member.size} {crcs.get(member.path, '')}".rstrip()
            entries = entries if len(entries) <= _LISTED else None
        if not image and (licence_text := _licence(member)):
            name = PurePosixPath(member.path)
            licences.append(
                (len(name.parts), _README.fullmatch(name.name) is not None, member.path, licence_text)
            )
    images = counts[True] if counts[True] or not packed else None  # packed ones are not counted
    licence = min(licences)[3] if licences else None
    return Contents(images, counts[False], licence, dict(clutter), entries)


def _licence(member: Member) -> str | None:
    """Return the SPDX identifier in a licence file or readme, or a note that there is such a file."""
    name = PurePosixPath(member.path).name
    licence = _LICENCE.fullmatch(name) is not None
    if is_clutter(member.path) or not (licence or _README.fullmatch(name)):
        return None
    try:
        text = member.content(_SANE).decode(errors="replace")
    except Unreadable:
        text = ""
    if stated := _SPDX.search(text):
        return f"{stated[1]} (as {member.path} says)"
    return f"see {member.path}" if licence else None


def _crcs(archive: Path) -> dict[str, str]:
    """Return the checksums in a zip's own table; a tar has none."""
    if not zipfile.is_zipfile(archive):
        return {}
    try:
        with zipfile.ZipFile(archive) as table:
            infos = table.infolist()[: _LISTED + 1]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # `members` says what is wrong
        return {}
    return {
        printable(posixpath.normpath(name)): f"{info.CRC:08x}"
        for name, info in zip(entry_names(infos), infos, strict=True)
    }
