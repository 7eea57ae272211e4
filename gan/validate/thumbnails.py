"""Thumbnails of prepared images as data: addresses, so many bytes in all."""

import base64
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from gan.data.arrays import Arrays

SIDE = 64  # pixels, at most
BUDGET = 1_200_000  # bytes of all addresses of a page


class Thumbnails:
    """Makes a page's thumbnails from the packed arrays of both halves, until the page is full."""

    def __init__(self, halves: Mapping[str, Arrays], budget: int = BUDGET) -> None:
        self.halves, self.left = halves, budget
        self.made: dict[tuple[str, int], str] = {}

    def address(self, split: object, index: object) -> str | None:
        """Return an image as a data: address; None when there is no such image, or no room for it."""
        if not isinstance(split, str) or split not in self.halves or not isinstance(index, int | np.integer):
            return None
        images = self.halves[split].images
        if not 0 <= index < len(images):
            return None
        key = split, int(index)
        if key not in self.made:
            self.made[key] = _encode(images[key[1]])
        picture = self.made[key]
        if len(picture) > self.left:
            return None
        self.left -= len(picture)
        return picture


def _encode(pixels: np.ndarray) -> str:
    """Encode uint8 (C, H, W): PNG up to 32 pixels a side, above at most ``SIDE`` as WebP (smaller)."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    kind = "PNG" if image.width <= 32 else "WEBP"
    if image.width > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"optimize": True} if kind == "PNG" else {"quality": 85}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
