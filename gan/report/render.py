"""Templates filled in, pictures as addresses: what every page needs."""

import base64
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

TEMPLATES = Path(__file__).parent / "templates"
TYPES = {".png": "image/png", ".webp": "image/webp"}
LARGE, QUALITY = 200_000, 90  # bytes of a picture that is shown as a lossy WebP, and how lossy, of 100


def render(template: str, figures: Mapping[str, Any]) -> str:
    """Fill in a template of this folder; a missing figure is an error, HTML is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(figures)


def data_address(path: Path) -> str:
    """Return a PNG or WebP file as a data: address, so that the page needs no other file.

    A large one is shown as a lossy WebP: noisy frames without loss take megabytes. The file stays as it is.
    """
    kind, content = TYPES[path.suffix], path.read_bytes()
    if len(content) > LARGE:
        kind, content = TYPES[".webp"], _smaller(content)
    return f"data:{kind};base64," + base64.b64encode(content).decode()


def _smaller(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.load()  # until then an animation does not tell its timing
        timing = {"duration": image.info.get("duration", 0), "loop": image.info.get("loop", 0)}
        image.save(buffer, "WEBP", quality=QUALITY, method=4, save_all=True, **timing)
    return buffer.getvalue()


def picture(path: Path) -> dict[str, Any] | None:
    """Return a PNG or WebP file for the page: its address, and its size where known; None without a file."""
    if not path.is_file():
        return None
    width, height = _size(path)
    return {"address": data_address(path), "width": width, "height": height}


def _size(path: Path) -> tuple[int | None, int | None]:
    """Return a picture's size from its first bytes: PNG's header chunk (11.2.1), animated WebP's (VP8X)."""
    with open(path, "rb") as file:
        head = file.read(30)
    if path.suffix == ".png":
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    return None, None


def size_words(count: int) -> str:
    """Return a number of bytes as people say it."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
