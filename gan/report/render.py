"""Templates filled in, pictures as addresses: what every page needs."""

import base64
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).parent / "templates"
TYPES = {".png": "image/png", ".webp": "image/webp"}


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
    """Return a PNG or WebP file as a data: address, so that the page needs no other file."""
    return f"data:{TYPES[path.suffix]};base64," + base64.b64encode(path.read_bytes()).decode()


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
