import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan.prepare.decoding.statistics import difference_hash, thumbnails
from gan.prepare.near_duplicates import _candidates, groups, near_pairs
from tests.data.image_files import encoded, picture


def grey(seed, size=64):
    """A picture with detail, unlike the smooth ones: a sum of waves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [
        rng.normal() / (1 + abs(u) + abs(v)) * np.cos(2 * np.pi * (u * x + v * y + rng.random()))
        for u in range(-6, 7)
        for v in range(7)
    ]
    total = np.sum(waves, 0)
    return np.uint8(255 * (total - total.min()) / np.ptp(total))


def pairs_of(images, bits=2):
    stack = np.stack(images)
    return {
        tuple(sorted(pair)) for pair in near_pairs(difference_hash(stack), thumbnails(stack), bits).tolist()
    }


CHANGES = {
    "re-encoded": lambda image: Image.open(io.BytesIO(encoded(image, "JPEG", quality=60))),
    "resized": lambda image: image.resize((40, 40)).resize((64, 64)),
    "brighter": lambda image: image.point(lambda value: min(255, int(value * 1.15))),
    "flatter": lambda image: image.point(lambda value: int(value * 0.7 + 30)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_nothing_else(change):
    originals = [grey(seed) for seed in range(40)]
    copies = [np.asarray(CHANGES[change](Image.fromarray(image))) for image in originals]
    pairs = pairs_of(originals + copies)
    assert pairs <= {(i, i + 40) for i in range(40)} and len(pairs) >= 36


def test_simple_pictures_with_one_hash_are_not_taken_for_copies():
    """Ramps from left to right have one hash, whatever their shape."""
    powers = (0.1, 0.3, 1, 3)
    ramps = [np.tile(np.uint8(255 * np.linspace(0, 1, 64) ** power), (64, 1)) for power in powers]
    assert len(set(difference_hash(np.stack(ramps)).tolist())) == 1
    assert pairs_of(ramps) == set()
    assert pairs_of([*ramps, ramps[3]]) == {(3, 4)}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 8), st.integers(0, 1000))
def test_candidates_are_all_pairs_within_the_bits_once(bits, seed):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**63, 4, dtype=np.uint64)
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (60, 4), dtype=np.uint64), axis=1)
    hashes = base[rng.integers(0, 4, 60)] ^ flips
    pairs = [tuple(sorted(pair)) for batch, _ in _candidates(hashes, bits) for pair in batch.tolist()]
    every = [(i, j) for i in range(60) for j in range(i + 1, 60)]
    assert sorted(pairs) == [(i, j) for i, j in every if np.bitwise_count(hashes[i] ^ hashes[j]) <= bits]


def test_the_order_does_not_matter():
    images = [grey(seed) for seed in range(20)] + [
        np.asarray(picture(seed, (64, 64), "L")) for seed in range(20)
    ]
    images += [np.asarray(CHANGES["re-encoded"](Image.fromarray(image))) for image in images[::2]]
    order = np.random.default_rng(0).permutation(len(images))
    pairs = pairs_of([images[i] for i in order], 8)
    assert {tuple(sorted((int(order[i]), int(order[j])))) for i, j in pairs} == pairs_of(images, 8) != set()


def test_groups_join_what_is_joined():
    assert groups(6, np.array([[4, 5], [1, 3], [5, 1]])).tolist() == [0, 1, 2, 1, 1, 1]
    assert groups(2, np.empty((0, 2), np.int64)).tolist() == [0, 1]
