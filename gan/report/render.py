"""The page and the model card, rendered from one dictionary of figures."""

import base64
import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from gan.report.card import code, text
from gan.report.metrics import metric_rows

__all__ = ["data_address", "metric_rows", "picture", "render", "size_words"]

TEMPLATES = Path(__file__).parent / "templates"
STYLE, SCRIPT = "page.css", "page.js"
TYPES = {".png": "image/png", ".webp": "image/webp"}


def render(template: str, figures: Mapping[str, Any]) -> str:
    """Fill in ``page.html.j2`` or ``model_card.md.j2``; a missing figure is an error, HTML is escaped.

    The page carries its style and script, and the hash of the script: a browser runs no other one.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": text, "code": code}
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        figures, style=style, script=script, script_hash=f"sha256-{allowed}"
    )


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
