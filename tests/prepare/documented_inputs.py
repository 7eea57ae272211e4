"""docs/inputs.md, made from inputs of every kind.

`python -m tests.prepare.documented_inputs > docs/inputs.md` writes it.
"""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gan.data.archive_members import Unreadable
from gan.data.clutter import clutter_of
from gan.errors import UserError
from gan.prepare.decoding.decode import prepare_image
from gan.prepare.decoding.depth import Extremes
from gan.prepare.value_ranges import decide_ranges
from tests.data.image_files import encoded, picture
from tests.data.layouts import CASES
from tests.data.test_names_and_links import POINTER, names, old_zip
from tests.prepare.decoding.test_colour import (
    ADOBE,
    PROFILES,
    REC709,
    SRGB,
    VIVID,
    chunked,
    gama,
    grey_profile,
)
from tests.prepare.decoding.test_colour import SHAPE as WHOLE
from tests.prepare.decoding.test_jpeg_damage import END, SHAPE, damaged, photo
from tests.prepare.test_layout import outcome

Rows = Iterator[tuple[str, str]]
TOP = """\
# What becomes of which input

Use this page to see how a folder, a colour space, a depth, a damaged file or a name is read.
[data.md](data.md) has the rules. The tables are made from such inputs by a test, so they are what
the code does.
"""


def layouts() -> Rows:
    """`24/6; cat, dog`: 24 training and 6 test images, two classes."""
    for name, case in CASES.items():
        yield name, outcome(case.paths, case.files)


def decoded(content: bytes, shape: object) -> tuple[np.ndarray | None, str]:
    """Return the pixels, and the note or the reason against the file."""
    facts: dict[str, object] = {}
    try:
        pixels, _ = prepare_image(content, shape, facts)
    except Unreadable as reason:
        return None, f"refused: {reason}"
    return pixels, str(facts.get("note") or "as it is")


def colours() -> Rows:
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "HEIF", "AVIF"):
        for profile, content in PROFILES.items():
            options = {"lossless": True} if kind == "WEBP" else {}
            yield _colour(
                f"{kind}, ICC profile {profile}", encoded(VIVID, kind, icc_profile=content, **options)
            )
    srgb = SRGB.tobytes()
    for kind in ("PNG", "TIFF"):
        yield _colour(f"{kind}, no profile", encoded(VIVID, kind))
        yield _colour(f"{kind}, ICC profile sRGB", encoded(VIVID, kind, icc_profile=srgb))
        yield _colour(f"{kind}, a broken profile", encoded(VIVID, kind, icc_profile=b"broken" * 40))
    yield _colour("PNG, `cICP` Display P3", chunked(VIVID, (b"cICP", bytes([12, 13, 0, 1]))))
    yield _colour("PNG, `cICP` sRGB", chunked(VIVID, (b"cICP", bytes([1, 13, 0, 1]))))
    yield _colour("PNG, `gAMA` 1", chunked(VIVID, gama(1.0)))
    yield _colour("PNG, `gAMA` 1/2.2 and `cHRM` Adobe RGB", chunked(VIVID, gama(1 / 2.19921875), ADOBE))
    yield _colour("PNG, `gAMA` 1/2.2 and `cHRM` of sRGB", chunked(VIVID, gama(0.45455), REC709))
    yield _colour(
        "PNG, grey, a profile of gamma 1", encoded(VIVID.convert("L"), icc_profile=grey_profile(1.0))
    )
    yield _colour("JPEG, CMYK without a profile", encoded(VIVID.convert("CMYK"), "JPEG"))


def _colour(name: str, content: bytes) -> tuple[str, str]:
    pixels, note = decoded(content, WHOLE)
    with Image.open(io.BytesIO(content)) as image:
        stored = np.asarray(image.convert("L" if pixels is not None and pixels.ndim == 2 else "RGB")).astype(
            int
        )
    if pixels is None:
        return name, note
    change = np.abs(pixels.astype(int) - stored)
    if not change.any() or not name.startswith(
        ("PNG", "TIFF")
    ):  # the bits of lossy ones vary with the encoder
        return name, note
    return name, f"{note}; by {change.mean():.0f} levels in the mean, {change.max()} at most"


def depths() -> Rows:
    for kind, ranges in {
        "float32": [(0, 1), (0, 1.001), (-1, 1), (0, 1.2), (0, 255.5), (0, 1000), (-3, 1)],
        "uint16": [(0, 255), (0, 1001), (0, 4095), (0, 16001), (0, 40000)],
        "int32": [(0, 255), (0, 256), (0, 65536)],
    }.items():
        for least, most in ranges:
            yield f"{kind}, {least:g} to {most:g}", _depth([Extremes(kind, least, most)] * 4)
    yield "float32, some images to 1, some to 255", _depth([Extremes("float32", 0, top) for top in (1, 255)])


def _depth(extremes: list[Extremes]) -> str:
    try:
        ((least, most),) = decide_ranges(extremes).values()
    except UserError:
        return "asks for `data.value_range`"
    return f"{least:g} is black, {most:g} is white"


def damage() -> Rows:
    for size in ((64, 64), (300, 200)):
        whole = photo(2, size)
        for kind, content in damaged(whole, 2).items():
            yield f"JPEG {size[0]}×{size[1]}, {kind}, ends in its end marker", decoded(content, SHAPE)[1]
        yield f"JPEG {size[0]}×{size[1]}, cut in half", decoded(whole[: len(whole) // 2], SHAPE)[1]
    whole = photo(2, (300, 200))
    yield "JPEG, 5 bytes more before its end marker", decoded(whole[:-2] + b"\1\2\3\4\5" + END, SHAPE)[1]
    yield "JPEG, a camera's data behind it", decoded(whole + b"camera" * 50, SHAPE)[1]
    for kind in ("PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF", "BMP"):
        image = picture(1, (200, 150)).convert("P" if kind == "GIF" else "RGB")
        content = encoded(image, kind)
        yield f"{kind}, cut in half", decoded(content[: len(content) // 2], SHAPE)[1]
    png = bytearray(encoded(picture(1, (200, 150))))
    png[len(png) // 2] ^= 255
    yield "PNG, one byte wrong", decoded(bytes(png), SHAPE)[1]
    yield "no bytes", decoded(b"", SHAPE)[1]
    yield "a web page, called `.jpg`", decoded(b"<html>404</html>", SHAPE)[1]
    yield "a Git LFS pointer", decoded(POINTER, SHAPE)[1]
    yield "3×3 pixels", decoded(encoded(picture(1, (3, 3))), SHAPE)[1]


def archive_names() -> Rows:
    for page, meant in {
        "utf-8": ["café/1.png", "Zürich/12.png"],
        "cp932": ["犬/1.png", "猫/12.png", "鳥/123.png"],
        "gb18030": ["小狗/1.png", "小猫们/12.png", "向日葵/1.png"],
        "cp866": ["кошка/1.png", "собака/12.png"],
        "cp1252": ["Käfer/1.png", "Vögel/12.png"],
    }.items():
        with tempfile.TemporaryDirectory() as folder:
            read = names(old_zip(Path(folder) / "x.zip", [name.encode(page) for name in meant]))
        yield f"a zip's names in {page}, not flagged as UTF-8", ", ".join(read)
    for path in (
        "@eaDir/a.jpg",
        "#recycle/a.jpg",
        "lost+found/a.jpg",
        ".Trash-1000/files/a.jpg",
        "__MACOSX/._a.jpg",
        "Thumbs.db",
    ):
        yield f"`{path}`", f"passed over: {clutter_of(path)}"


TABLES = {
    "Layouts": ("`8/4; cat, dog`: 8 training and 4 test images, two classes.", layouts),
    "Colours": ("", colours),
    "Depths": ("The least and the greatest value of all images of a source.", depths),
    "Damage": ("", damage),
    "Names": ("", archive_names),
}


def page() -> str:
    """Return docs/inputs.md."""
    texts = [TOP]
    for title, (intro, rows) in TABLES.items():
        texts.append(
            f"## {title}\n\n{intro}\n\n".replace("\n\n\n\n", "\n\n") + "| input | outcome |\n|---|---|\n"
        )
        texts[-1] += "".join(f"| {name} | {result} |\n" for name, result in rows())
    return "\n".join(texts)


if __name__ == "__main__":
    print(page(), end="")
