"""The names in a zip: UTF-8, from the Unicode path field, or in one old code page for the whole archive.

A name without the UTF-8 flag is in code page 437 by the standard, and in whatever the program's machine
had in practice: UTF-8 (macOS), Shift-JIS, GBK, CP866, CP1251 ... A few short words fit several pages: what
was taken is always told (`told`), with what else they may be, and the user may say it.
"""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from gan.data.file_names import printable
from gan.errors import UserError

_UTF8 = 0x800
_UNICODE_PATH = 0x7075  # of Info-ZIP's extra field
_PAGES = ["cp932", "gb18030", "big5", "cp949", "cp866", "cp1251", "cp1253", "cp1255", "cp1256", "cp1254"]
_LATIN = ["cp1252", "cp850", "cp437", "cp1250", "cp852"]  # the first whose every letter is one
_OTHERS = ["cp857", "cp737", "cp862", "koi8-r"]  # that are never guessed, but named
_ENOUGH = 400  # different names that are looked at
_SHOWN = 3  # names, and other readings of the first


def entry_names(infos: Sequence[zipfile.ZipInfo], page: str | None = None) -> list[str]:
    """Return the entries' names, "/"-separated, as they were meant; ``page``: of those that do not say it."""
    raws = [_raw(info) for info in infos]
    pairs = zip(infos, raws, strict=True)
    named = [info.filename if raw is None else _told(info, raw) for info, raw in pairs]
    unknown = [raw for raw, name in zip(raws, named, strict=True) if name is None and raw is not None]
    for raw in unknown if page else ():
        _check(raw, str(page))
    page = page or (_page(unknown) if unknown else "")
    return [
        (name if name is not None else (raw or b"").decode(page, "replace")).replace("\\", "/")
        for raw, name in zip(raws, named, strict=True)
    ]


def _check(raw: bytes, page: str) -> None:
    """Raise UserError for a name that the user's code page does not have."""
    try:
        raw.decode(page)
    except UnicodeDecodeError:
        raise UserError(
            f"data.zip_names: {page} does not fit the name {raw.decode('cp437')!r} (as code page 437); set "
            "another one, or auto"
        ) from None


def told(path: Path) -> str | None:
    """Say in which code page a zip's names were taken to be, and what else they may be; None: no guess."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    raws = [(info, _raw(info)) for info in infos]
    unknown = [raw for info, raw in raws if raw is not None and _told(info, raw) is None]
    if not unknown:
        return None
    words = _components(unknown)
    page = _page(unknown)
    shown = ", ".join(repr(printable(word.decode(page, "replace"))) for word in words[:_SHOWN])
    others: dict[str, str] = {}
    for other in (*_PAGES, *_LATIN, *_OTHERS):
        if all(_is_words(word, other) for word in words):
            others.setdefault(words[0].decode(other), other)
    others.pop(words[0].decode(page, "replace"), None)
    listed = ", ".join(f"{other}: {text!r}" for text, other in list(others.items())[:_SHOWN])
    return (
        f"names in {path.name}: it does not say their code page; read as {page}: {shown}; if that is wrong, "
        "set data.zip_names" + (f" ({listed})" if listed else "")
    )


def _raw(info: zipfile.ZipInfo) -> bytes | None:
    """Return the bytes of a name that does not say its encoding, or None for one that does."""
    if info.flag_bits & _UTF8:
        return None
    try:
        return info.orig_filename.split("\0")[0].encode("cp437")
    except UnicodeEncodeError:  # the library has already read it from the Unicode path field
        return None


def _told(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _unicode_path(info, raw)


def _unicode_path(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and length > 5 and struct.unpack_from("<I", body, 1)[0] == zlib.crc32(raw):
            try:
                return body[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None


def _page(names: Sequence[bytes]) -> str:
    """Tell the code page of names: one for all, since one program wrote them."""
    components = _components(names)
    letters = [byte for component in components for byte in component if byte > 127 or chr(byte).isalpha()]
    if sum(byte > 127 for byte in letters) < len(letters) / 2:  # words with a few accents
        return next(
            (page for page in _LATIN if all(_is_words(component, page) for component in components)), "cp437"
        )
    try:
        from charset_normalizer import from_bytes
    except ImportError:  # a machine that has only what training needs
        return "cp437"
    hangul = all(_is_common(component, 0xC8) for component in components)
    pages = [page for page in _PAGES if page != "cp949" or hangul]
    if any(_has_narrow_katakana(component) for component in components):  # what Chinese looks like in it
        pages.remove("cp932")
    best = from_bytes(b"\n".join(components), cp_isolation=pages, threshold=0.5).best()
    page = best.encoding if best else "cp437"
    return (
        "gb18030" if page == "big5" and all(_is_common(component, 0xD7) for component in components) else page
    )


def _components(names: Sequence[bytes]) -> list[bytes]:
    """Return the different names of folders and files that are not ASCII, sorted, a few hundred at most."""
    components = {part for name in set(names) for part in name.replace(b"\\", b"/").split(b"/")}
    return sorted(component for component in components if not component.isascii())[:_ENOUGH]


def _has_narrow_katakana(name: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        return any("\uff61" <= char <= "\uff9f" for char in name.decode("cp932"))
    return False


def _is_words(name: bytes, page: str) -> bool:
    """Say whether a name's letters beyond ASCII are letters, none a capital behind a small one."""
    try:
        text = name.decode(page)
    except UnicodeDecodeError:
        return False
    flips = any(a.islower() and not b.isascii() and b.isupper() for a, b in pairwise(text))
    return not flips and all(char.isascii() or char.isalpha() for char in text)


def _is_common(name: bytes, last: int) -> bool:
    """Say whether a name's characters are common ones: rows from 0xB0 to ``last`` of GB 2312 or KS X 1001."""
    high = [byte for byte in name if byte > 127]
    return len(high) % 2 == 0 and all(
        0xB0 <= first <= last and second >= 0xA1 for first, second in zip(high[::2], high[1::2], strict=True)
    )
