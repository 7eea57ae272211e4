"""Pictures as data: addresses, so that a page needs no other file."""

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from gan.report.model_card import cut

TYPES = {".png": "image/png", ".webp": "image/webp"}
LONGEST = 12  # characters of a label in a cell
LARGE, QUALITY = 200_000, 90  # bytes of a picture that is shown as a lossy WebP, and how lossy, of 100


def data_address(path: Path) -> str:
    """Return a PNG or WebP file as a data: address.

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
    """Return a PNG or WebP file for the page: its address and size; None without a file."""
    if not path.is_file():
        return None
    with Image.open(path) as image:
        width, height = image.size
    return {"address": data_address(path), "width": width, "height": height}


def labels(path: Path) -> list[str]:
    """Return the classes of a grid's cells, row by row, which its PNG file holds; none where it has none."""
    with Image.open(path) as image:
        text = image.info.get("Labels")
    return [cut(label, LONGEST) for label in json.loads(text)] if text else []
