"""A keyed mark in the pixels: faint cosine waves whose amplitudes a secret key decides.

An image of any size is seen through cosines ``cos(pi ky y) cos(pi kx x)``, with x and y from 0 to 1 across it: the
DCT-II basis, so resizing changes nothing but its sharpness, and with even kx only, so mirroring changes nothing.
The mark adds them with Gaussian amplitudes, expanded from the key. The detector sums the whitened coefficients of a
set of images to one vector and takes its angle to the key's. For a key that has nothing to do with the images, the
key's direction is uniform on the sphere, whatever the images are: the p-value is that of an angle between a fixed
and a uniform direction, exact without a model of images. Crops are hypotheses of their own, by weighted Bonferroni.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betainc, ndtri

KEY_BYTES = 32
STRENGTH = 3.0
HIGHEST = 16
LOWEST = 3.0
SLOPE = 1.0
CLIP = 2.0
LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Detection:
    """What a set of images says: ``score`` (about standard normal without a mark), ``p_value``, ``n`` images."""

    score: float
    p_value: float
    n: int


class Mark:
    """The mark of one secret key of 32 bytes. Raises ValueError for a key of another length."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a mark's key has {KEY_BYTES} bytes, this one {len(key)}")
        self._key = expand(key)

    def embed(self, images: np.ndarray, strength: float = STRENGTH) -> np.ndarray:
        """Return uint8 images (N, C, H, W), C 1 or 3, with the mark added."""
        images = _checked(np.asarray(images))
        height, width = images.shape[2:]
        rows, columns = np.nonzero(band())
        wave = np.zeros(band().shape)
        wave[rows, columns] = self._key
        pattern = _cosines(height, 0, 0) @ wave @ _cosines(width, 0, 0)[:, ::2].T
        pattern *= strength / pattern.std()
        return np.clip(np.rint(images + pattern), 0, 255).astype(np.uint8)

    def detect(self, images: Sequence[np.ndarray]) -> Detection:
        """Look for the mark in a set of uint8 images (C, H, W), of any sizes, or in one array (N, C, H, W)."""
        total, count = None, 0
        for part in _parts(images):
            vectors = features(part)
            total = vectors.sum(0) if total is None else total + vectors.sum(0)
            count += len(part)
        if total is None:
            raise ValueError("no images")
        return Detection(*_judge(total, self._key), count)


def expand(key: bytes) -> np.ndarray:
    """Return the key's direction (d,): standard normal numbers from HMAC-SHA-256 in counter mode."""
    count = int(band().sum())
    blocks = (hmac.digest(key, b"ganflow mark 1 %d" % i, hashlib.sha256) for i in range(-(-count // 4)))
    words = np.frombuffer(b"".join(blocks), ">u8")[:count]
    return ndtri((words.astype(np.float64) + 0.5) / 2.0**64)


@lru_cache
def band() -> np.ndarray:
    """Return which coefficients (ky, kx / 2) carry the mark, bool."""
    ky, kx = np.mgrid[: HIGHEST + 1, : HIGHEST + 1 : 2]
    radius = np.hypot(ky, kx)
    return (radius >= LOWEST) & (radius <= HIGHEST)


@lru_cache
def crops() -> list[tuple[int, int]]:
    """Return the margins (before, after) that a side may have lost, in 32nds of it; none first."""
    return sorted(((a, b) for a in range(5) for b in range(5 - a)), key=sum)


@lru_cache
def weights() -> np.ndarray:
    """Return the prior weight of each pair of crops: half on none."""
    count = len(crops()) ** 2
    found = np.full(count, 0.5 / (count - 1))
    found[0] = 0.5
    return found


@lru_cache(64)
def _cosines(size: int, before: int, after: int) -> np.ndarray:
    low, high = before / 32, 1 - after / 32
    x = low + (high - low) * (np.arange(size) + 0.5) / size
    return np.cos(np.pi * x[:, None] * np.arange(HIGHEST + 1))


def features(images: np.ndarray) -> np.ndarray:
    """Return the whitened coefficients of uint8 images (N, C, H, W): (N, hypotheses, d), rows of unit norm."""
    luma = images.astype(np.float64)
    luma = luma[:, 0] if luma.shape[1] == 1 else np.einsum("c,nchw->nhw", LUMA, luma)
    luma = luma - luma.mean((1, 2), keepdims=True)
    height, width = luma.shape[1:]
    tall = np.stack([_cosines(height, *crop) for crop in crops()])
    wide = np.stack([_cosines(width, *crop)[:, ::2] for crop in crops()])
    found = np.einsum("nhw,ahk,bwl->nabkl", luma, tall, wide, optimize=True)[..., band()]
    ky, kx = np.mgrid[: HIGHEST + 1, : HIGHEST + 1 : 2]
    found = found.reshape(len(images), -1, found.shape[-1]) * np.hypot(ky, kx)[band()] ** SLOPE
    scale = np.median(np.abs(found), -1, keepdims=True) + 1e-9
    found = np.clip(found / scale, -CLIP, CLIP)
    return found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-12)


def _judge(total: np.ndarray, key: np.ndarray) -> tuple[float, float]:
    norms = np.linalg.norm(total, axis=-1)
    cosine = np.divide(total @ key, norms * np.linalg.norm(key), out=np.zeros_like(norms), where=norms > 1e-9)
    d = len(key)
    tail = betainc((d - 1) / 2, 0.5, np.clip(1 - cosine**2, 0, 1)) / 2
    tail = np.where(cosine > 0, tail, 1 - tail)
    p = np.minimum(1.0, tail / weights())
    best = int(p.argmin())
    return float(cosine[best] * np.sqrt(d)), float(p[best])


def _checked(images: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"want uint8 images (N, C, H, W), C 1 or 3, not {images.dtype} {images.shape}")
    return images


def _parts(images: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    if isinstance(images, np.ndarray) and images.ndim == 4:
        for start in range(0, len(images), 64):
            yield _checked(images[start : start + 64])
        return
    for image in images:
        yield _checked(np.asarray(image)[None])
