"""Pixels between tensors, grids and PNG files."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gan import xmp
from gan.files import write_bytes

FRAME_MS = 80  # of an animation
LABELS = "Labels"  # the key of a PNG's text that holds the classes of its cells, as a JSON list


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """Bring float images (N, C, H, W) in [-1, 1] to uint8 in 0 … 255, rounding to the nearest."""
    scaled = (images.detach().float().clamp(-1, 1) + 1) * 127.5
    array: np.ndarray = scaled.round().to(torch.uint8).contiguous().cpu().numpy()
    return array


def to_float(images: torch.Tensor) -> torch.Tensor:
    """Bring uint8 images to float32 in [-1, 1]; the inverse of ``to_uint8``."""
    return images.float().div_(127.5).sub_(1)


def grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lay uint8 images (N, C, H, W) out in rows of ``columns``: (C, rows, columns), white gaps."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    shape = (channels, rows * (height + gap) - gap, columns * (width + gap) - gap)
    sheet = np.full(shape, 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def sheets(images: np.ndarray, count: int, columns: int) -> np.ndarray:
    """Lay images (N * count, C, H, W) out as N grids of ``count`` images each: (N, C, rows, columns)."""
    return np.stack([grid(frame, columns) for frame in images.reshape(-1, count, *images.shape[1:])])


def pil_image(image: np.ndarray) -> Image.Image:
    """Return a uint8 image (C, H, W), C 1 or 3, as Pillow's."""
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def png_bytes(
    image: np.ndarray,
    made_by: str | None = None,
    *,
    composite: bool = False,
    labels: Sequence[str] | None = None,
) -> bytes:
    """Encode a uint8 image (C, H, W), C 1 or 3, as PNG.

    ``made_by``: the SHA-256 of the model file that made it; the PNG then says so in its XMP metadata
    (gan/xmp.py). ``composite``: real images stand in it too. ``labels``: the classes of a grid's cells, row
    by row, kept as text in the file.
    """
    buffer, chunks = io.BytesIO(), PngInfo()
    if made_by is not None:
        chunks.add_itxt(xmp.KEY, xmp.packet(made_by, composite=composite))
    if labels is not None:
        chunks.add_itxt(LABELS, json.dumps(list(labels), ensure_ascii=False))
    pil_image(image).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def write_png(
    path: Path,
    image: np.ndarray,
    made_by: str | None = None,
    *,
    composite: bool = False,
    labels: Sequence[str] | None = None,
) -> None:
    """Write a uint8 image (C, H, W), C 1 or 3, as a PNG file, atomically; see ``png_bytes``."""
    write_bytes(path, png_bytes(image, made_by, composite=composite, labels=labels))


def animation_bytes(frames: np.ndarray, made_by: str, kind: Literal["WEBP", "GIF"] = "WEBP") -> bytes:
    """Encode uint8 frames (N, C, H, W) as an animation without end, `FRAME_MS` each; see ``png_bytes``.

    WebP is lossless; GIF has 256 colours a frame and no place for XMP but its comment.
    """
    buffer, packet = io.BytesIO(), xmp.packet(made_by).encode()
    first, *rest = map(pil_image, frames)
    shared: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": FRAME_MS, "loop": 0}
    if kind == "WEBP":
        first.save(buffer, "WEBP", lossless=True, quality=80, method=4, xmp=packet, **shared)
    else:
        first.save(buffer, "GIF", comment=packet, **shared)
    return buffer.getvalue()
