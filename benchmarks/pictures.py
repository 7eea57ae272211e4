"""The images that all contestants train on."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gan.errors import UserError

CHANNELS = 3


def load(folder: Path, size: int, limit: int) -> np.ndarray:
    """Return at most ``limit`` of the images under ``folder``, any depth: uint8 (N, 3, size, size)."""
    if not folder.is_dir():
        raise UserError(f"--images: {folder}: no such folder")
    known = Image.registered_extensions()
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in known and path.is_file())
    if not files:
        raise UserError(f"--images: {folder}: holds no image files")
    return np.stack([_read(path, size) for path in files[:limit]])


def _read(path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (size, size))
    except (OSError, ValueError) as error:
        raise UserError(f"--images: {path}: not readable as an image ({error})") from None
    return np.asarray(fitted).transpose(2, 0, 1)


def noise(size: int, count: int) -> np.ndarray:
    """Return random images: uint8 (count, 3, size, size)."""
    return np.random.default_rng(0).integers(0, 256, (count, CHANNELS, size, size), np.uint8)


def write(images: np.ndarray, folder: Path) -> None:
    """Write uint8 images (N, C, H, W) as JPEGs of one class, the folder below ``folder``."""
    inner = folder / "noise"
    inner.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(inner / f"{index:06d}.jpg", quality=90)
