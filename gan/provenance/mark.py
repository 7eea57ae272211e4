"""A keyed mark in the pixels of images: faint cosine waves whose amplitudes a secret key decides.

An image of any size is seen through waves ``cos(pi ky y) cos(pi kx x)``, x and y from 0 to 1 across it:
the basis of the DCT-II, so resizing changes only how sharply they are seen. kx is even, so mirroring
changes nothing. `Mark.embed` adds waves with Gaussian amplitudes expanded from the key (spread spectrum:
Cox et al. 1997, IEEE TIP 6(12)), stronger where a trial detection says that an image hides them
(informed embedding: Miller, Cox, Bloom 2000).

`Mark.detect` weighs pixels by how calm their neighbourhood is, takes the coefficients of the waves and
adds them up over a set of images. Whatever the images are, a key that has nothing to do with them points
in a uniform direction: the chance that it comes as near to theirs is that of a cap of a sphere, exactly,
with no model of images. Lost margins are further hypotheses, and so is each image by itself:
Bonferroni's inequality pays for them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import betainc, ndtri

KEY_BYTES = 32
STRENGTH = 2.5  # standard deviation of the mark in grey levels
BOOSTS = (1.0, 1.25, 1.5, 1.75, 2.0)  # so many times that, for an image that hides it,
CLEAR = 5.5  # until its score is this
SIDES = (32, 64, 128)  # of images that are marked: the waves scale with them
LOWEST, HIGHEST = 6.0, 20.0  # |k|, half waves a side of 32 pixels; the highest grows with the side
MARGIN = 4  # 32nds of a side that a crop may have taken, both ends together
BLUR = 1.25  # pixels, the radius of a neighbourhood
NOISE = 3.0  # grey levels: calmer than this is calm
SMALLEST = 16  # pixels a side, to be marked
LARGEST = 256  # longer sides are brought down to this first
CHUNK = 64  # images seen at once

Array = np.ndarray[Any, Any]
Margins = tuple[int, int]  # 32nds of a side lost before and after what is left
Found = list[tuple[float, float]]  # p-values, and minus the scores
WHOLE: list[Margins] = [(0, 0)]
CROPPED = [(a, b) for a in range(MARGIN + 1) for b in range(MARGIN + 1 - a)]


@dataclass(frozen=True)
class Detection:
    """What ``n`` images say of a key.

    ``p_value``: the chance that a key which has nothing to do with them comes as near, 0 to 1. ``score``:
    how near, in standard deviations, under the hypothesis that fits best.
    """

    score: float
    p_value: float
    n: int


class Mark:
    """The mark of one secret key of 32 bytes. Raises ValueError for a key of another length."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key of a mark has {KEY_BYTES} bytes, not {len(key)}")
        self._amplitudes = _expand(key)

    def embed(self, images: Array, strength: float = STRENGTH) -> Array:
        """Return a copy of uint8 images (N, C, H, W), C 1 or 3, with the mark added to every channel.

        ``strength`` is its standard deviation in grey levels, above 0; an image that hides it gets up to
        twice that. Values end at 0 and 255, so an image that is black or white all over carries half of it.
        Raises ValueError for other shapes and types, and for sides under 16 pixels.
        """
        images = _checked(np.asarray(images))
        if min(images.shape[2:]) < SMALLEST or not strength > 0:
            raise ValueError(
                f"a mark needs {SMALLEST} pixels a side and strength above 0: {images.shape}, {strength}"
            )
        marked = images.copy()
        for start in range(0, len(images), CHUNK):
            marked[start : start + CHUNK] = self._embed(images[start : start + CHUNK], strength)
        return marked

    def _embed(self, images: Array, strength: float) -> Array:
        height, width = images.shape[2:]
        side = next((side for side in SIDES if side >= min(height, width)), SIDES[-1])
        waves = np.zeros(_band(side).shape)
        waves[_band(side)] = self._of(side)
        clear = CLEAR / np.sqrt(len(self._of(side)))
        pattern = _waves(height, side, (0, 0)) @ waves @ _waves(width, side, (0, 0))[:, ::2].T
        pattern *= strength / pattern.std()
        marked, hidden = images.copy(), np.arange(len(images))
        for boost in BOOSTS:
            marked[hidden] = np.clip(np.rint(images[hidden] + boost * pattern), 0, 255)
            cosines = self._cosines(_directions(marked[hidden], side, WHOLE)[:, 0], side)
            hidden = hidden[cosines < clear]
            if not len(hidden):
                break
        return marked

    def detect(self, images: Array | Sequence[Array]) -> Detection:
        """Look for this mark alone: see the function `detect`."""
        return detect([self], images)[0]

    def _of(self, side: int) -> Array:
        return np.asarray(self._amplitudes[:side, : side // 2][_band(side)])

    def _best(self, directions: Array, side: int, weight: float) -> tuple[float, float]:
        """Return the least p-value of directions (..., d) over its ``weight``, and minus its score."""
        cosines = self._cosines(directions, side)
        best = float(cosines.max())
        return float(_tail(best, directions.shape[-1])) / weight, -best * float(np.sqrt(directions.shape[-1]))

    def _cosines(self, directions: Array, side: int) -> Array:
        """Return the cosines (...) of the angles between the key and directions (..., d); 0 for none."""
        key = self._of(side)
        lengths = np.linalg.norm(directions, axis=-1)
        cosines = np.zeros(lengths.shape)
        products = directions @ (key / np.linalg.norm(key))
        return np.asarray(np.divide(products, lengths, out=cosines, where=lengths > 1e-9))


def detect(marks: Sequence[Mark], images: Array | Sequence[Array]) -> list[Detection]:
    """Look for several marks in uint8 images: (N, C, H, W), or (C, H, W) of any sizes; C 1 or 3.

    Two questions share a p-value: are they marked as a set, all cropped alike; is any one of them, however
    cropped. Who tries many keys has to multiply the p-values by their number.
    Raises ValueError for other shapes and types, and where there are no images.
    """
    batches = list(_batches(images))
    count = sum(map(len, batches))
    if not count:
        raise ValueError("no images to look for a mark in")
    longest = max(max(batch.shape[2:]) for batch in batches)
    sides = [side for side in SIDES if side == SIDES[0] or side <= longest]
    hypotheses = [(side, WHOLE, 0.5 / len(sides)) for side in sides]
    hypotheses += [(SIDES[0], CROPPED, 0.5 / len(CROPPED) ** 2)]
    as_set, by_itself = ([Found() for _ in marks] for _ in range(2))
    for side, ends, weight in hypotheses:
        total = np.zeros((len(ends) ** 2, int(_band(side).sum())))
        for batch in batches:
            directions = _directions(batch, side, ends)
            total += directions.sum(0)
            for mark, results in zip(marks, by_itself, strict=True):
                results.append(mark._best(directions, side, weight / count))
        for mark, results in zip(marks, as_set, strict=True):
            results.append(mark._best(total, side, weight))
    return [_verdict(*both, count) for both in zip(as_set, by_itself, strict=True)]


def _verdict(
    as_set: list[tuple[float, float]], by_itself: list[tuple[float, float]], count: int
) -> Detection:
    questions = [min(as_set), min(by_itself)] if count > 1 else [min(as_set)]
    p_value, negative = min(questions)
    return Detection(-negative, min(1.0, p_value * len(questions)), count)


def _tail(cosine: Array | float, dimensions: int) -> Array:
    """Return the share of all directions whose cosine with a given one is at least so much."""
    caps = betainc((dimensions - 1) / 2, 0.5, 1 - np.square(np.clip(cosine, -1, 1))) / 2
    return np.asarray(np.where(np.asarray(cosine) > 0, caps, 1 - caps))


def _expand(key: bytes) -> Array:
    """Return the key's amplitudes by (ky, kx / 2), (128, 64): standard normal numbers."""
    count = SIDES[-1] * SIDES[-1] // 2
    words = np.frombuffer(hashlib.shake_256(b"ganflow mark 1\0" + key).digest(8 * count), ">u8")
    uniform = ((words >> 12).astype(np.float64) + 0.5) / 2.0**52
    return np.asarray(ndtri(uniform)).reshape(SIDES[-1], SIDES[-1] // 2)


@lru_cache
def _radii(side: int) -> Array:
    ky, kx = np.mgrid[:side, :side:2]
    return np.asarray(np.hypot(ky, kx))


@lru_cache
def _band(side: int) -> Array:
    """Return which waves (ky, kx / 2) the mark of an image of that side has: (side, side / 2), bool."""
    return (_radii(side) >= LOWEST) & (_radii(side) <= HIGHEST * side / SIDES[0])


@lru_cache(256)
def _waves(pixels: int, side: int, margins: Margins) -> Array:
    """Return cosines (pixels, side) along what is left of a side; those too fine for the pixels are 0."""
    low, high = margins[0] / 32, 1 - margins[1] / 32
    x = low + (high - low) * (np.arange(pixels) + 0.5) / pixels
    k = np.arange(side)
    return np.cos(np.pi * x[:, None] * k) * (k * (high - low) < pixels)


def _directions(images: Array, side: int, ends: list[Margins]) -> Array:
    """Return what uint8 images (N, C, H, W) hold of the waves: (N, E * E, d), of length 1 or 0.

    ``ends``: E guesses of what either side has lost; d: the number of waves in the band.
    """
    calm = _weighed(_luma(images), side)
    height, width = calm.shape[1:]
    reach = int(HIGHEST * side / SIDES[0]) + 1
    rows = np.stack([_waves(height, side, margins)[:, :reach] for margins in ends])
    columns = np.stack([_waves(width, side, margins)[:, :reach:2] for margins in ends])
    tall = np.tensordot(calm, rows, (1, 1))  # (N, W, E, ky)
    both = np.tensordot(tall, columns, (1, 1)).transpose(0, 1, 3, 2, 4)  # (N, E, E, ky, kx)
    inside = np.flatnonzero(_band(side)[:reach, : (reach + 1) // 2])
    coefficients = both.reshape(len(images), len(ends) ** 2, -1)[..., inside] * _radii(side)[_band(side)]
    lengths = np.linalg.norm(coefficients, axis=-1, keepdims=True)
    return np.asarray(np.divide(coefficients, lengths, out=np.zeros_like(coefficients), where=lengths > 1e-9))


def _weighed(luma: Array, side: int) -> Array:
    """Return the fine detail of (N, H, W) over its local variance: edges hide a mark, calm areas show it."""
    sigma = BLUR * float(np.sqrt(luma.shape[1] * luma.shape[2])) / side
    detail = luma - gaussian_filter(luma, (0, sigma, sigma))
    spread = np.sqrt(gaussian_filter(detail**2, (0, sigma, sigma)))
    return np.asarray(detail / (spread + NOISE) ** 2)


def _luma(images: Array) -> Array:
    """Return the brightness of uint8 images (N, C, H, W): (N, H, W) float64, no side over LARGEST."""
    weights = np.array([1.0] if images.shape[1] == 1 else [0.299, 0.587, 0.114])
    luma = np.tensordot(images.astype(np.float32), weights.astype(np.float32), (1, 0))
    height, width = luma.shape[1:]
    if max(height, width) > LARGEST:
        scale = LARGEST / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        luma = np.stack(
            [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)) for image in luma]
        )
    return luma.astype(np.float64)


def _checked(images: Array) -> Array:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape[2:]:
        raise ValueError(
            f"a mark is for uint8 images (N, C, H, W), C 1 or 3, not {images.dtype} {images.shape}"
        )
    return images


def _batches(images: Array | Sequence[Array]) -> Iterator[Array]:
    """Yield (n, C, H, W), images of one shape each, n at most CHUNK."""
    for _, alike in groupby(map(np.asarray, images), key=np.shape):
        group = list(alike)
        for start in range(0, len(group), CHUNK):
            yield _checked(np.stack(group[start : start + CHUNK]))
