"""Near duplicates: candidates by their hashes, confirmed on their pixels.

Hashes of near duplicates differ in few bits. So do those of different simple images (digits, logos on
white). So a pair must also pass one of two tests on the images, reduced to 16 × 16 grey pixels:

- the correlation of the pixels is at least 0.9 and of their differences to the right and below at
  least 0.7, and neither image has a hash that also fits another picture (within two bits more
  than allowed, a correlation below 0.9: such a hash tells nothing), or
- the correlations are at least 0.99 and 0.98.

Correlations ignore brightness and contrast. The pairs depend only on the set, not on its order.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gan.prepare.decoding.statistics import SIDE

_SURE, _LIKELY = (0.99, 0.98), (0.9, 0.7)  # correlation of pixels, of differences
_MARGIN = 2  # bits
_BATCH = 1 << 16  # pairs compared at once

Hashes = NDArray[np.uint64]
Thumbnails = NDArray[np.uint8]  # (N, SIDE, SIDE)
Pairs = NDArray[np.int64]  # (P, 2)


def near_pairs(hashes: Hashes, thumbnails: Thumbnails, bits: int) -> Pairs:
    """Return the pairs of images that are near duplicates; ``bits`` of their hashes may differ."""
    vague = np.zeros(len(hashes), bool)  # its hash also fits another picture
    sure, likely = [], []
    for pairs, distance in _candidates(hashes, bits + _MARGIN):
        close = distance <= bits
        open_ = close | ~vague[pairs].all(1)
        pairs, close = pairs[open_], close[open_]
        alike = _pixel_correlation(thumbnails, pairs)
        vague[pairs[alike < _LIKELY[0]]] = True
        chosen = close & (alike >= np.where(vague[pairs].any(1), *[_SURE[0], _LIKELY[0]]))
        pairs, alike = pairs[chosen], alike[chosen]
        detail = _detail_correlation(thumbnails, pairs)
        surely = (alike >= _SURE[0]) & (detail >= _SURE[1])
        sure.append(pairs[surely])
        likely.append(pairs[~surely & (detail >= _LIKELY[1])])
    maybe = np.concatenate([np.empty((0, 2), np.int64), *likely])
    return np.concatenate([*sure, maybe[~vague[maybe].any(1)]])


def groups(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Return for each of ``count`` images the first image that it is joined to by pairs, or itself."""
    if not len(pairs):
        return np.arange(count)
    # A fifth of a second, which a set without near duplicates need not wait for.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = pairs.T
    graph = coo_array((np.ones(len(pairs), bool), (one, other)), shape=(count, count))
    _, components = connected_components(graph, directed=False)
    _, first = np.unique(components, return_index=True)
    return np.asarray(first[components], np.int64)


def _candidates(hashes: Hashes, bits: int) -> Iterator[tuple[Pairs, NDArray[np.uint8]]]:
    """Yield all pairs whose hashes differ in at most ``bits`` bits, once each, with that number.

    Of ``bits + 1`` bands of a hash one is then equal (pigeonhole): images are sorted by each band,
    and compared with those behind them as long as the band is the same.
    """
    bands = [np.uint64(sum(1 << bit for bit in range(band, 64, bits + 1))) for band in range(bits + 1)]
    for number, band in enumerate(bands):
        order = np.argsort(hashes & band, kind="stable")
        ordered = hashes[order]
        start = np.arange(len(order))
        batches: list[Pairs] = []
        for offset in range(1, len(order)):
            start = start[start + offset < len(order)]
            differing = ordered[start] ^ ordered[start + offset]
            same = (differing & band) == 0
            start, differing = start[same], differing[same]
            if not len(start):
                break
            near = np.bitwise_count(differing) <= bits
            for earlier in bands[:number]:
                near &= (differing & earlier) != 0  # else it has been yielded with that band
            positions = start[near]
            batches.append(np.stack([order[positions], order[positions + offset]], 1))
            if sum(map(len, batches)) >= _BATCH:
                yield from _with_distance(hashes, batches)
                batches = []
        yield from _with_distance(hashes, batches)


def _with_distance(hashes: Hashes, batches: list[Pairs]) -> Iterator[tuple[Pairs, NDArray[np.uint8]]]:
    pairs = np.concatenate([np.empty((0, 2), np.int64), *batches])
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        yield batch, np.bitwise_count(hashes[batch[:, 0]] ^ hashes[batch[:, 1]])


def _pixel_correlation(thumbnails: Thumbnails, pairs: Pairs) -> NDArray[np.float64]:
    one, other = (thumbnails[column].reshape(-1, SIDE**2).astype(np.float32) for column in pairs.T)
    size = SIDE**2
    sums = [_dot(one, other), _dot(one, one), _dot(other, other)]
    means = one.sum(1, dtype=np.float64), other.sum(1, dtype=np.float64)
    products = means[0] * means[1], means[0] ** 2, means[1] ** 2
    both, first, second = (size * total - product for total, product in zip(sums, products, strict=True))
    correlation: NDArray[np.float64] = both / np.sqrt(np.maximum(first * second, 1.0))
    return correlation


def _detail_correlation(thumbnails: Thumbnails, pairs: Pairs) -> NDArray[np.float64]:
    one, other = (thumbnails[column].astype(np.float32) for column in pairs.T)
    both, first, second = np.zeros((3, len(pairs)))
    for axis in (1, 2):
        a, b = (np.diff(images, axis=axis).reshape(-1, SIDE * (SIDE - 1)) for images in (one, other))
        both, first, second = both + _dot(a, b), first + _dot(a, a), second + _dot(b, b)
    return both / np.sqrt(np.maximum(first * second, 1.0))


def _dot(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the rows' scalar products: of at most 256 whole numbers up to 255, float32 has them exactly."""
    products: NDArray[np.float32] = np.einsum("ij,ij->i", one, other)
    return products.astype(np.float64)
