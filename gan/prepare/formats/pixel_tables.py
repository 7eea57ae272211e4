"""Tables whose rows are pixels: `label,pixel0,pixel1 ...`, or one column of numbers with spaces between."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan.data.folder_names import named_half
from gan.errors import UserError
from gan.prepare.decoding.decode import Item

_PIXEL = re.compile(r"(pixel|px|p)?_?\d+(x\d+)?")
_LEAST = 64  # columns of pixels
_LABELS = ("label", "class", "emotion", "target", "y")
_HALVES = {"training": "train", "publictest": "val", "privatetest": "test"}  # FER-2013's column Usage


def is_pixel_table(content: bytes) -> bool:
    """Say whether a table's first line is that of pixels."""
    head = content[:200_000].partition(b"\n")[0].decode("utf-8-sig", "replace").lower().strip()
    names = [name.strip().strip('"') for name in head.split(",")]
    return "pixels" in names or sum(_PIXEL.fullmatch(name) is not None for name in names) >= _LEAST


def pixel_items(name: str, content: bytes) -> Iterator[Item]:
    """Yield a table's images with their labels and halves. Raises UserError when a row is no square image."""
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig", "replace")))
    head = [cell.strip().lower() for cell in next(rows)]
    label = next((head.index(each) for each in _LABELS if each in head), None)
    usage = head.index("usage") if "usage" in head else None
    one = head.index("pixels") if "pixels" in head else None
    named = named_half(name.rpartition("/")[2].rpartition(".")[0])
    for number, row in enumerate(rows):
        if not row:
            continue
        cells = (
            row[one].split() if one is not None else [c for column, c in enumerate(row) if column != label]
        )
        try:
            image = _image(cells)
        except (ValueError, IndexError):
            raise UserError(
                f"{name}: row {number + 2} is no square image of {len(cells)} numbers; correct or remove it"
            ) from None
        half = named.half if named else None
        if usage is not None:
            half = _HALVES.get(row[usage].strip().lower(), half)  # type: ignore[assignment]
        yield Item(f"{name}#{number:06d}", image, None, half, None if label is None else row[label].strip())


def _image(cells: list[str]) -> NDArray[Any]:
    """Return a row's numbers as a square image, grey or RGB; whole ones are 8 bits, or 16."""
    whole = all(cell.strip().isdecimal() for cell in cells)
    values: NDArray[Any] = np.array(cells, np.uint16 if whole else np.float32)
    if whole and values.max() <= 255:
        values = values.astype(np.uint8)
    side = round(len(values) ** 0.5)
    if side * side == len(values):
        return values.reshape(side, side)
    side = round((len(values) / 3) ** 0.5)
    return values.reshape(side, side, 3)
