"""Arrays of images to Pillow's and back."""

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gan.data import images
from gan.errors import UserError

Pixels = NDArray[np.uint8]


def to_pil(pixels: Pixels) -> list[Image.Image]:
    """Return Pillow's images of an array uint8 (N, height, width, channels)."""
    return [images.pil_image(image) for image in pixels.transpose(0, 3, 1, 2)]


def grid(pixels: Pixels, columns: int | None = None) -> Image.Image:
    """Lay images uint8 (N, height, width, channels) out in rows, near to a square without ``columns``."""
    return images.pil_image(images.grid(pixels.transpose(0, 3, 1, 2), columns or isqrt(len(pixels) - 1) + 1))


def fitted(image: Any, side: int, channels: int) -> Pixels:
    """Return an image as uint8 (channels, side, side): cropped in the middle and scaled where it must be.

    ``image`` is Pillow's, or uint8 (height, width) or (height, width, 1 or 3). Raises UserError for others.
    """
    if not isinstance(image, Image.Image):
        array = np.asarray(image)
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if (
            array.dtype != np.uint8
            or array.ndim not in (2, 3)
            or array.shape[2:] not in ((), (3,))
            or not array.size
        ):
            raise UserError(
                f"an array {array.dtype} {array.shape} is not an image; "
                "give uint8 (height, width) or (height, width, 3)"
            )
        image = Image.fromarray(array)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (side, side):
        image = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
    pixels = np.array(image, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
