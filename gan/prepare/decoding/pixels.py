"""Pixels of any mode to opaque 8-bit grey or RGB, and of any size to a square."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan.prepare.decoding.statistics import HASH_SIDE, grey

Fit = Literal["center_crop", "pad", "stretch"]
RESAMPLE = Image.Resampling.BICUBIC  # antialiased when it shrinks


def flatten(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Return an image as "L" or "RGB" and what was lost on the way, if anything.

    Alpha is composited on white; CMYK and the like are converted.
    """
    if image.mode in ("PA", "LA", "La", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return rgba.convert("RGB"), None
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB"), "alpha composited"
    if image.mode in ("L", "RGB"):
        return image, None
    note = None if image.mode in ("1", "P") else f"{image.mode} converted"
    return image.convert("L" if image.mode == "1" else "RGB"), note


def reduced_luma(image: Image.Image) -> NDArray[np.uint8]:
    """Return the grey of an "L" or "RGB" image, made `HASH_SIDE` pixels a side at most by averaging."""
    factor = -(-max(image.size) // HASH_SIDE)
    if factor > 1:
        image = image.reduce(factor)
    pixels = np.asarray(image)
    luma: NDArray[np.uint8] = grey(
        pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]
    )[0]
    return luma


def square(image: Image.Image, size: int, fit: Fit, grey: bool) -> NDArray[np.uint8]:
    """Bring an "L" or "RGB" image to uint8 (size, size) or (size, size, 3); ``grey``: to the former."""
    if grey and image.mode == "RGB":
        image = image.convert("L")
    return _square(image, size, fit)


def planes(squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8 (N, S, S) or (N, S, S, 3) as (N, 1 or 3, S, S), rows of one image together."""
    return np.ascontiguousarray(squares[:, None] if squares.ndim == 3 else squares.transpose(0, 3, 1, 2))


def is_grey(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say of each image of uint8 (N, 3, S, S) whether red, green and blue are equal."""
    flat = pixels.reshape(*pixels.shape[:2], -1)
    equal: NDArray[np.bool_] = ((flat[:, 0] == flat[:, 1]) & (flat[:, 0] == flat[:, 2])).all(1)
    return equal


def _square(image: Image.Image, size: int, fit: Fit) -> NDArray[np.uint8]:
    width, height = image.size
    if fit == "center_crop" and width != height:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if fit == "pad" and width != height:
        scale = size / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        return _padded(np.asarray(_resized(image, width, height)), size)
    return np.asarray(_resized(image, size, size))


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    return image if image.size == (width, height) else image.resize((width, height), RESAMPLE)


def _padded(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Repeat the outermost pixels to both sides until the image is ``size`` square."""
    missing = [size - length for length in pixels.shape[:2]] + [0] * (pixels.ndim - 2)
    return np.pad(pixels, [(length // 2, length - length // 2) for length in missing], mode="edge")
