"""A set of real pictures with everything planted in it that a user's folder may have wrong.

Pictures are cuts from the two photos that come with scikit-learn.
"""

import io
import struct
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin
from sklearn.datasets import load_sample_image

from tests.data.image_files import archive, encoded, folder

pillow_heif.register_heif_opener()

LARGEST = 400_000  # bytes of a file; one planted has more
SIDE = 32  # pixels of the good pictures, as they are prepared


@dataclass(frozen=True)
class Planted:
    """A file, what becomes of it, and why: the reason of a refusal, or the note; "" for neither."""

    content: bytes
    status: str = "ok"
    why: str = ""
    facts: dict[str, object] = field(default_factory=dict)  # further columns of its row


@cache
def _photo(name: str) -> Image.Image:
    return Image.fromarray(load_sample_image(name))


def cut(number: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """Return a cut of one of the photos, reduced; no two numbers give the same place."""
    photo = _photo(("china.jpg", "flower.jpg")[number % 2])
    rng = np.random.default_rng(number)
    scale = int(rng.integers(2, 4)) if size[0] * 3 < photo.width and size[1] * 3 < photo.height else 1
    width, height = size[0] * scale, size[1] * scale
    if width > photo.width or height > photo.height:
        return photo.resize(size)
    left, top = rng.integers(0, photo.width - width + 1), rng.integers(0, photo.height - height + 1)
    return photo.crop((left, top, left + width, top + height)).resize(size)


def good(count: int, start: int = 0) -> dict[str, bytes]:
    """Return files of the size that is prepared, in three formats, under two labels."""
    contents = {}
    for number in range(start, start + count):
        kind = ("JPEG", "PNG", "WEBP")[number % 3]
        options = {"lossless": True} if kind == "WEBP" else {"quality": 90} if kind == "JPEG" else {}
        name = f"{('cat', 'dog')[number % 2]}/{number:03d}.{kind.lower()}"
        contents[name] = encoded(cut(number), kind, **options)
    return contents


def _png(width: int, height: int) -> bytes:
    """Return a black PNG of one bit a pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compressobj()
    body = b"".join(rows.compress(bytes(1 + width // 8)) for _ in range(height)) + rows.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _refused() -> dict[str, Planted]:
    def no(content: bytes, reason: str) -> Planted:
        return Planted(content, "refused", reason)

    jpeg, png = (encoded(cut(900, (200, 150)), kind) for kind in ("JPEG", "PNG"))
    wrong_sum = bytearray(png)
    wrong_sum[-20] ^= 1  # the last chunk's checksum but one: that of the pixels
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "A" * (70 << 20), zip=True)
    return {
        "cat/cut.jpg": no(jpeg[: len(jpeg) // 2], "truncated"),
        "cat/cut.png": no(png[: len(png) // 2], "truncated"),
        "cat/bomb.png": no(_png(30_000, 30_000), "too many pixels"),
        "cat/text bomb.png": no(encoded(cut(901), pnginfo=text), "damaged"),
        "cat/wrong sum.png": no(bytes(wrong_sum), "damaged"),
        "dog/notes.png": no(b"A list of cats:\n", "not an image"),
        "dog/page.jpg": no(b"<!DOCTYPE html><title>404</title>", "not an image"),
        "dog/zero.jpg": no(b"", "empty file"),
        "dog/pixel.gif": no(encoded(cut(902, (1, 1)), "GIF"), "too small"),
        "dog/ribbon.png": no(encoded(cut(903, (640, 2)).resize((8000, 2))), "too small"),
        "dog/white.png": no(encoded(Image.new("RGB", (64, 64), "white")), "blank"),
        "dog/red.jpg": no(encoded(Image.new("RGB", (64, 64), (200, 0, 0)), "JPEG", quality=100), "blank"),
        "dog/raw.bmp": no(encoded(cut(904, (640, 420)), "BMP"), "too many bytes"),
        "dog/nan.tiff": no(
            encoded(Image.fromarray(np.full((40, 40), np.nan, np.float32)), "TIFF"),
            "pixels that are not numbers",
        ),
        "ghost/cut.jpg": no(jpeg[:600], "truncated"),  # the only one of its label
    }


def _noted() -> dict[str, Planted]:
    size = (80, 60)
    clear = cut(910, size).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(size))
    palette = cut(911, size).quantize(32)
    frames = [cut(number, size) for number in (912, 913, 914)]

    def film(kind: str, *order: int) -> bytes:
        first, *rest = (frames[index] for index in order)
        return encoded(first, kind, save_all=True, append_images=rest)

    turned, huge = Image.Exif(), Image.Exif()
    turned[0x0112] = 6
    huge[0x010E] = "x" * 60_000
    deep = np.asarray(cut(915, size).convert("L"), np.uint16) * 257
    light = np.asarray(cut(916, size).convert("L"), np.float32) / 255
    alpha = "alpha composited"
    return {
        "cat/clear.png": Planted(encoded(clear), "ok", alpha, {"mode": "RGBA"}),
        "cat/clear grey.png": Planted(encoded(clear.convert("LA")), "ok", alpha, {"mode": "LA"}),
        "cat/clear palette.png": Planted(encoded(palette, transparency=3), "ok", alpha, {"mode": "P"}),
        "cat/print.jpg": Planted(
            encoded(cut(917, size).convert("CMYK"), "JPEG"), "ok", "CMYK converted", {"mode": "CMYK"}
        ),
        "cat/deep.png": Planted(encoded(Image.fromarray(deep)), "ok", "16-bit reduced", {"mode": "I;16"}),
        "cat/film.gif": Planted(film("GIF", 0, 1, 2), "ok", "first frame of 3"),
        "cat/film.webp": Planted(film("WEBP", 1, 2, 0), "ok", "first frame of 3"),
        "cat/pages.tiff": Planted(film("TIFF", 2, 0, 1), "ok", "first frame of 3"),
        "dog/turned.jpg": Planted(
            encoded(cut(918, size), "JPEG", exif=turned), "ok", "rotated by EXIF", {"width": 80, "height": 60}
        ),
        "dog/light.tiff": Planted(encoded(Image.fromarray(light), "TIFF"), "ok", "float reduced from 0 to 1"),
        "dog/palette.png": Planted(encoded(cut(919, size).quantize(16)), "ok", "", {"mode": "P"}),
        "dog/huge exif.jpg": Planted(encoded(cut(920), "JPEG", exif=huge)),
        "dog/stereo.jpg": Planted(
            encoded(cut(921, size), "MPO", save_all=True, append_images=[cut(922, size)]),
            facts={"format": "MPO"},
        ),
        "dog/wrong.png": Planted(encoded(cut(923), "JPEG"), facts={"format": "JPEG"}),
        "dog/no extension": Planted(encoded(cut(924), "JPEG"), facts={"format": "JPEG"}),
        "dog/tail.jpg": Planted(encoded(cut(925), "JPEG") + b"tail" * 99, facts={"format": "JPEG"}),
        "dog/phone.heic": Planted(
            encoded(cut(926, (128, 96)), "HEIF"), facts={"format": "HEIF", "width": 128}
        ),
        "dog/phone.avif": Planted(encoded(cut(927, size), "AVIF"), facts={"format": "AVIF"}),
        "cat/Ünïcödé 猫.png": Planted(encoded(cut(928))),
        "cat/new\nline.png": Planted(encoded(cut(929))),
    }


def planted() -> dict[str, Planted]:
    """Return the planted files by path; none is a good picture of `good`."""
    return {**_refused(), **_noted()}


REPEATS = {  # path: that of the picture it repeats, and whether exactly
    "cat/copy of 000.jpeg": ("cat/000.jpeg", True),
    "dog/of a cat.webp": ("cat/002.webp", True),  # one picture under two labels
    "dog/saved again.jpg": ("dog/001.png", False),
    "cat/smaller.png": ("cat/004.png", False),
    "cat/clear grey.png": ("cat/clear.png", False),  # planted for its mode
}


def repeats(pictures: dict[str, bytes]) -> dict[str, bytes]:
    """Return files that (nearly) repeat some of the good ones."""
    again = Image.open(io.BytesIO(pictures["dog/001.png"]))
    small = Image.open(io.BytesIO(pictures["cat/004.png"]))
    return {
        "cat/copy of 000.jpeg": pictures["cat/000.jpeg"],
        "dog/of a cat.webp": pictures["cat/002.webp"],
        "dog/saved again.jpg": encoded(again, "JPEG", quality=85),
        "cat/smaller.png": encoded(small.resize((28, 28))),
    }


def plant(path: Path) -> dict[str, bytes]:
    """Write all of it into a folder, links and a desktop's clutter too; return the files by path."""
    pictures = good(60)
    content = {**pictures, **repeats(pictures), **{name: item.content for name, item in planted().items()}}
    clutter = {".DS_Store": b"x", "cat/Thumbs.db": b"x", "__MACOSX/cat/._000.jpeg": b"x", "readme.txt": b"x"}
    folder(path, {**content, **clutter})
    (path / "empty").mkdir()
    (path / "cat" / "loop.png").symlink_to("loop.png")
    (path / "dog" / "lost.jpg").symlink_to("nowhere.jpg")
    (path / "dog" / "folder.jpg").symlink_to("../cat")
    locked = path / "cat" / "locked.png"
    locked.write_bytes(encoded(cut(930)))
    locked.chmod(0)
    return content


SKIPPED = {
    "cat/loop.png": "a broken link",
    "dog/lost.jpg": "a broken link",
    "dog/folder.jpg": "a link to a folder",
    "cat/locked.png": "unreadable",
}


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    """Write the same files as a zip, with a bomb in it."""
    return archive(path, {**content, "cat/tight.png": bytes(30_000_000)})
