"""Statistics of prepared pixels for the manifest, for a stack of images at once. Imports numpy only.

Sums are of integers, so the results depend neither on the order of adding nor on the machine.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

HASH_SIDE = 256  # pixels: an image is made no larger than this before it is hashed
SIDE = 16  # pixels of a thumbnail
_ROWS, _COLUMNS = 8, 9  # cells of the difference hash


def grey(pixels: Pixels) -> Pixels:
    """Return the luma (ITU-R BT.601) of uint8 (N, 3, H, W) or (N, 1, H, W) as uint8 (N, H, W)."""
    if pixels.shape[1] == 1:
        return pixels[:, 0]
    red, green, blue = (pixels[:, channel].astype(np.uint16) for channel in range(3))
    return ((77 * red + 150 * green + 29 * blue + 128) >> 8).astype(np.uint8)


def is_blank(pixels: Pixels) -> NDArray[np.bool_]:
    """Say of each image of uint8 (N, C, S, S) whether all its pixels are the same."""
    flat = pixels.reshape(*pixels.shape[:2], -1)
    same: NDArray[np.bool_] = (flat.min(2) == flat.max(2)).all(1)
    return same


def statistics(pixels: Pixels, luma: Pixels) -> dict[str, list[Any]]:
    """Return mean, std, min, max of each image of uint8 (N, C, S, S), entropy and sharpness of its luma.

    Entropy: bits of the histogram of the 256 values, 0 to 8. Sharpness: the variance of the
    4-neighbour Laplacian (Pech-Pacheco 2000), borders left out.
    """
    flat = pixels.reshape(len(pixels), -1)
    mean, variance = _moments(flat)
    inner = luma.astype(np.int16)
    laplacian = 4 * inner[:, 1:-1, 1:-1]
    for neighbour in (inner[:, :-2, 1:-1], inner[:, 2:, 1:-1], inner[:, 1:-1, :-2], inner[:, 1:-1, 2:]):
        laplacian -= neighbour
    return {
        "mean": mean.round(4).tolist(),
        "std": np.sqrt(variance).round(4).tolist(),
        "min": flat.min(1).tolist(),
        "max": flat.max(1).tolist(),
        "sharpness": _moments(laplacian.reshape(len(pixels), -1))[1].round(2).tolist(),
        "entropy": _entropy(luma).round(4).tolist(),
    }


def _moments(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each row; exact until the last division (all sums below 2**53)."""
    count = values.shape[1]
    wide = values.astype(np.float64)
    total, squares = wide.sum(1), np.einsum("ij,ij->i", wide, wide)
    return total / count, (count * squares - total**2) / count**2


def _entropy(luma: Pixels) -> NDArray[np.float64]:
    count = len(luma)
    flat = luma.reshape(count, -1)
    bins = flat + 256 * np.arange(count, dtype=np.int32)[:, None]
    histogram = np.bincount(bins.ravel(), minlength=256 * count).reshape(count, 256)
    size = flat.shape[1]
    bits: NDArray[np.float64] = np.log2(size) - (histogram * np.log2(np.maximum(histogram, 1))).sum(1) / size
    return bits


def thumbnails(luma: Pixels) -> Pixels:
    """Return the means of SIDE × SIDE cells of uint8 (N, S, S); S is a multiple of SIDE."""
    cells, size = _cells(luma.shape[1], SIDE), luma.shape[1] ** 2
    total = (cells @ luma.astype(np.float32) @ cells.T).astype(np.int64)
    means: Pixels = ((total + size // 2) // size).astype(np.uint8)
    return means


def difference_hash(luma: Pixels) -> NDArray[np.uint64]:
    """Return the 64-bit difference hash (dHash, Krawetz 2013) of images of one size, uint8 (N, H, W).

    Each is averaged to 8 × 9 cells; a bit, row by row, says that a cell is darker than the one to
    its right. H and W are at most ``HASH_SIDE``: then float32 holds every sum exactly.
    """
    rows, columns = _cells(luma.shape[1], _ROWS), _cells(luma.shape[2], _COLUMNS)
    cells = rows @ luma.astype(np.float32) @ columns.T
    bits = cells[:, :, :-1] < cells[:, :, 1:]
    hashes: NDArray[np.uint64] = np.packbits(bits.reshape(len(luma), -1), axis=1).view(">u8")[:, 0]
    return hashes.astype(np.uint64)


def _cells(length: int, count: int) -> NDArray[np.float32]:
    """Return what each of ``length`` pixels gives to each of ``count`` cells, in parts of a pixel."""
    pixels, cells = np.arange(length) * count, np.arange(count)[:, None] * length
    overlap = np.minimum(pixels + count, cells + length) - np.maximum(pixels, cells)
    return overlap.clip(0).astype(np.float32)
