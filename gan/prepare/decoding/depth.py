"""Pixels of more than 8 bits: their values as they are stored, and how a declared range becomes 8 bits.

What range of values stands for black to white is a matter of the whole source, never of one image:
`gan.prepare.value_ranges` decides it from the extremes that are measured here.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan.data.archive_members import Unreadable

Values = NDArray[Any]
Range = tuple[float, float]
Ranges = Mapping[str, Range]  # by kind of sample: what is black and white
WORD: Range = (0, 65535)


class Extremes(NamedTuple):
    """The least and the greatest value of an image, and what its samples are: uint16, float32 ..."""

    kind: str
    low: float
    high: float


class Unscaled(Exception):
    """An image's range of values is not known yet."""

    def __init__(self, extremes: Extremes) -> None:
        super().__init__(extremes.kind)
        self.extremes = extremes


def deep_values(image: Image.Image, content: bytes) -> tuple[Values, Range | None] | None:
    """Return the values of an image of more than 8 bits, (H, W) or (H, W, C), and the range if its format
    declares it; None for any other image.
    """
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        if image.format == "PPM":  # Pillow has scaled it by the file's own maximum
            return values.astype(np.uint16), WORD
        if image.format == "PNG":  # mode "I" of these has 16 bits
            return values.clip(0, 65535).astype(np.uint16), None
        bits = _tiff_bits(image)
        return values, (0, 2**bits - 1) if 8 < bits < 16 else None
    sixteen = image.format == "PNG" and content[24] == 16
    if image.mode in ("RGB", "RGBA") and (sixteen or (image.format == "TIFF" and _tiff_bits(image) == 16)):
        low = _low_bytes(image.mode, content)
        if low is not None:
            return np.asarray(image).astype(np.uint16) << 8 | low, None
    return None


def scaled(values: Values, declared: Range | None, ranges: Ranges | None) -> tuple[NDArray[np.uint8], str]:
    """Bring values to uint8 by their declared range or that of their kind, and say so.

    Raises Unreadable for values that are not numbers, Unscaled where no range is known.
    """
    kind = values.dtype.name
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unreadable("pixels that are not numbers")
    known = declared or (ranges or {}).get(kind) or (ranges or {}).get("all")
    if known is None:
        raise Unscaled(Extremes(kind, float(values.min()), float(values.max())))
    if known == WORD and values.dtype.kind in "ui":
        return (values.clip(0, 65535) >> 8).astype(np.uint8), "16-bit reduced"
    black, white = known
    pixels = (values.astype(np.float64) - black) * (255 / (white - black))
    bits = "float" if values.dtype.kind == "f" else f"{8 * values.dtype.itemsize}-bit"
    note = f"{bits} reduced from {black:g} to {white:g}"
    return pixels.round().clip(0, 255).astype(np.uint8), note


def _tiff_bits(image: Image.Image) -> int:
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(258, (0,))
    return int(bits[0] if isinstance(bits, tuple) else bits)


def _low_bytes(mode: str, content: bytes) -> NDArray[np.uint16] | None:
    """Return the lower bytes of 16-bit colours, which Pillow drops: read with the two bytes swapped."""
    with Image.open(io.BytesIO(content)) as image:
        tiles = []
        for tile in image.tile:
            args: tuple[Any, ...] = tile.args if isinstance(tile.args, tuple) else (tile.args,)
            raw = args[0]
            swapped = {"B": "L", "L": "B", "N": "B"}.get(str(raw)[-1:])
            if not str(raw).startswith(f"{mode};16") or swapped is None:
                return None
            args = (f"{mode};16{swapped}", *args[1:])
            tiles.append(tile._replace(args=args if isinstance(tile.args, tuple) else args[0]))
        image.tile = tiles
        return np.asarray(image).astype(np.uint16)
