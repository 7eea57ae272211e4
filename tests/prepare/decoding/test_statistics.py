import numpy as np
import pytest
from PIL import Image

from gan.prepare.decoding.statistics import HASH_SIDE, SIDE, difference_hash, grey, statistics, thumbnails

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)


def test_statistics_are_what_their_names_say():
    luma = grey(IMAGES)
    measured = statistics(IMAGES, luma)
    for number, (image, one) in enumerate(zip(IMAGES, luma, strict=True)):
        assert measured["mean"][number] == pytest.approx(image.mean(), abs=1e-4)
        assert measured["std"][number] == pytest.approx(image.std(), abs=1e-4)
        assert (measured["min"][number], measured["max"][number]) == (image.min(), image.max())
        share = np.bincount(one.ravel(), minlength=256) / one.size
        share = share[share > 0]
        assert measured["entropy"][number] == pytest.approx(-(share * np.log2(share)).sum(), abs=1e-4)
        wide = one.astype(float)
        inner = wide[1:-1, 1:-1]
        sides = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
        assert measured["sharpness"][number] == pytest.approx((4 * inner - sides).var(), abs=0.01)


def test_grey_is_pillows_within_one():
    for image, one in zip(IMAGES, grey(IMAGES), strict=True):
        theirs = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L"), int)
        assert np.abs(theirs - one).max() <= 1


def test_the_hash_is_of_averaged_cells():
    luma = grey(IMAGES)[:, :32, :27]
    cells = luma.reshape(5, 8, 4, 9, 3).mean((2, 4))
    bits = (cells[:, :, :-1] < cells[:, :, 1:]).reshape(5, 64)
    expected = [int("".join("01"[bit] for bit in row), 2) for row in bits.astype(int)]
    assert difference_hash(luma).tolist() == expected


@pytest.mark.parametrize("size", [(1, HASH_SIDE), (5, 3), (HASH_SIDE, HASH_SIDE)])
def test_hashes_of_flat_images_are_zero_whatever_their_size(size):
    """No rounding makes one cell brighter than the next."""
    assert not difference_hash(np.full((3, *size), 255, np.uint8)).any()


def test_thumbnails_are_means():
    luma = grey(IMAGES)
    means = luma.reshape(5, SIDE, 2, SIDE, 2).mean((2, 4))
    np.testing.assert_array_equal(thumbnails(luma), np.floor(means + 0.5))
