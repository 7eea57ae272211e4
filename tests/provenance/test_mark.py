"""The keyed mark: on real images, found where it is, after what it should survive, and nowhere else."""

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import kstest
from sklearn.datasets import load_digits, load_sample_images

from benchmarks.attacks import ATTACKS, BEYOND
from gan.provenance import mark as module
from gan.provenance.mark import Mark, detect

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
GOLDEN = (-0.680716003705999, -0.23210088066439483, 0.9957723788977771, -0.27382479865974224)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Real digits as `prepare` makes them: (300, 1, 32, 32)."""
    scans = (load_digits().images[:300] * 255 / 16).astype(np.uint8)
    large = [np.asarray(Image.fromarray(scan).resize((32, 32), Image.Resampling.LANCZOS)) for scan in scans]
    return np.stack(large)[:, None]


@pytest.fixture(scope="module")
def photos(datasets) -> np.ndarray:
    """Real photos of CIFAR-10: (150, 3, 32, 32)."""
    with tarfile.open(datasets / "cifar10-images.tar.xz", "r|xz") as archive:
        photographs = []
        for member in archive:
            if member.name.endswith(".jpg"):
                photographs.append(np.asarray(Image.open(io.BytesIO(archive.extractfile(member).read()))))
            if len(photographs) == 150:
                return np.stack(photographs).transpose(0, 3, 1, 2)
    raise AssertionError("fewer than 150 photos")


@pytest.fixture(params=["digits", "photos"])
def real(request) -> np.ndarray:
    return request.getfixturevalue(request.param)


def alone(mark: Mark, images) -> np.ndarray:
    return np.array([mark.detect([image]).p_value for image in images])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def key(i: int) -> bytes:
    return np.random.default_rng(i).bytes(32)


def test_a_set_and_each_image_of_it_betray_the_mark(real):
    marked = Mark(KEY).embed(real[:50])
    detection = Mark(KEY).detect(marked)
    assert detection.n == 50
    assert detection.p_value < 1e-12
    assert detection.score > 6
    assert (alone(Mark(KEY), marked) < 1e-3).mean() >= 0.95
    assert psnr(real[:50], marked) > 35


def test_unmarked_images_and_other_keys_raise_no_alarm(real):
    marked = Mark(KEY).embed(real[:50])
    assert Mark(KEY).detect(real[:50]).p_value > 0.01
    assert Mark(OTHER).detect(marked).p_value > 0.01
    assert (alone(Mark(OTHER), marked) > 1e-3 / 50).all()  # by chance, one in a thousand tries


@pytest.mark.parametrize("name", ATTACKS)
def test_a_set_survives(real, name):
    rng = np.random.default_rng(0)
    attacked = [ATTACKS[name](image, rng) for image in Mark(KEY).embed(real[:50])]
    ours, another = detect([Mark(KEY), Mark(OTHER)], attacked)
    assert ours.p_value < 1e-3
    assert another.p_value > 1e-3


@pytest.mark.parametrize("name", ["cropped by 1/4", "in a frame", "upside down"])
def test_documented_limits_are_limits(real, name):
    attacked = [BEYOND[name](image, None) for image in Mark(KEY).embed(real[:50])]
    assert Mark(KEY).detect(attacked).p_value > 1e-3


@pytest.mark.parametrize(
    ("name", "least"),
    [("JPEG 75", 0.85), ("resized ×2", 0.95), ("mirrored", 0.95), ("cropped by up to 1/8", 0.8)],
)
def test_most_single_images_survive(real, name, least):
    rng = np.random.default_rng(0)
    attacked = [ATTACKS[name](image, rng) for image in Mark(KEY).embed(real[:50])]
    assert (alone(Mark(KEY), attacked) < 1e-3).mean() >= least


def test_tails_are_uniform_over_keys(real):
    """Exactly so for each hypothesis, whatever the images; the p-value only pays for there being many."""
    seen = module._directions(real[:50], 32, module.WHOLE)[:, 0]
    for directions in (seen[0], seen.sum(0), seen[::2].sum(0)):
        cosines = [Mark(key(i))._cosines(directions, 32) for i in range(250)]
        tails = module._tail(np.array(cosines), len(directions))
        assert kstest(tails, "uniform").pvalue > 0.01


def test_p_values_do_not_flatter(real):
    """Given the images, keys are independent trials: a share of 0.1, and two standard deviations, at most."""
    marks = [Mark(key(i)) for i in range(400)]
    single = [seen.p_value for i in range(8) for seen in detect(marks[50 * i : 50 * i + 50], real[[i]])]
    sets = [seen.p_value for i in range(2) for seen in detect(marks[i::4], real[20 * i : 20 * i + 20])]
    assert (np.array(single) <= 0.1).mean() <= 0.13
    assert (np.array(sets) <= 0.1).mean() <= 0.142
    assert min(single + sets) > 1e-5


def test_several_keys_see_what_each_sees(digits):
    marks = [Mark(KEY), Mark(OTHER)]
    marked = marks[1].embed(digits[:5])
    assert detect(marks, marked) == [mark.detect(marked) for mark in marks]


def test_few_marked_images_betray_themselves_in_a_set(real):
    """Each cropped in its own way."""
    rng = np.random.default_rng(0)
    cut = [ATTACKS["cropped by up to 1/8"](image, rng) for image in Mark(KEY).embed(real[:5])]
    assert Mark(KEY).detect([*cut, *real[50:95]]).p_value < 1e-3


def test_sizes_and_colours_mix(digits):
    marked = Mark(KEY).embed(digits[:30])
    large = [np.repeat(ATTACKS["resized ×2"](image, None), 3, 0) for image in marked[15:]]
    detection = Mark(KEY).detect([*marked[:15], *large])
    assert detection.n == 30
    assert detection.p_value < 1e-9


@pytest.mark.parametrize("side", [64, pytest.param(128, marks=pytest.mark.slow)])
def test_larger_images_and_what_is_made_of_them(side):
    photo = load_sample_images().images[0]
    corners = [(y, x) for y in range(0, 256, 128) for x in range(0, 512, 64)]
    images = np.stack([photo[y : y + side, x : x + side] for y, x in corners]).transpose(0, 3, 1, 2)
    marked = Mark(KEY).embed(images)
    assert psnr(images, marked) > 37
    assert (alone(Mark(KEY), marked) < 1e-3).mean() >= 0.95
    assert Mark(KEY).detect(images).p_value > 0.01
    rng = np.random.default_rng(0)
    for name in ("JPEG 75", "resized ×0.5", "cropped by up to 1/8, resized back", "mirrored, ×2, JPEG 75"):
        assert Mark(KEY).detect([ATTACKS[name](image, rng) for image in marked]).p_value < 1e-3, name


def test_a_large_photo_is_no_alarm():
    photo = np.ascontiguousarray(load_sample_images().images[1].transpose(2, 0, 1))
    photo = np.tile(photo, (1, 2, 2))
    assert all(Mark(key(i)).detect([photo]).p_value > 1e-3 for i in range(5))


@pytest.mark.parametrize("level", [0, 255])
def test_saturated_images_carry_half_of_it(level):
    flat = np.full((4, 3, 32, 32), level, np.uint8)
    marked = Mark(KEY).embed(flat)
    assert Mark(KEY).detect(marked[:1]).p_value < 1e-6
    assert Mark(OTHER).detect(marked).p_value > 0.01
    change = np.abs(marked.astype(int) - flat)
    assert 0.3 < (change == 0).mean() < 0.8  # the other half does not fit between 0 and 255
    assert change.max() < 6 * module.STRENGTH


def test_images_without_any_detail_say_nothing():
    assert Mark(KEY).detect(np.full((3, 1, 32, 32), 7, np.uint8)) == module.Detection(0.0, 1.0, 3)


def test_the_same_bits_every_time_whatever_the_batch(digits):
    before = digits.copy()
    marked = Mark(KEY).embed(digits)
    assert (digits == before).all()
    assert marked.dtype == np.uint8
    assert marked.shape == digits.shape
    assert (np.concatenate([Mark(KEY).embed(digits[:7]), Mark(KEY).embed(digits[7:])]) == marked).all()
    assert (Mark(KEY).embed(torch.from_numpy(digits)) == marked).all()
    assert Mark(KEY).detect(marked) == Mark(KEY).detect(list(marked))
    assert Mark(KEY).embed(digits[:0]).shape == (0, 1, 32, 32)


def test_a_key_means_the_same_waves_for_ever():
    """What was marked by an earlier version must be found by a later one."""
    waves = Mark(KEY)._amplitudes
    assert waves.shape == (128, 64)
    assert waves[6, :4] == pytest.approx(GOLDEN, abs=1e-12)
    assert abs(waves.mean()) < 0.05
    assert waves.std() == pytest.approx(1, abs=0.05)
    assert abs(np.corrcoef(waves.ravel(), Mark(OTHER)._amplitudes.ravel())[0, 1]) < 0.05


def test_strength_is_what_is_seen_of_it(digits):
    noise = [psnr(digits[:64], Mark(KEY).embed(digits[:64], strength)) for strength in (1.0, 2.0, 4.0)]
    assert noise[0] > noise[1] + 2 > noise[2] + 4


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_has_32_bytes(length):
    with pytest.raises(ValueError, match=f"32 bytes, not {length}"):
        Mark(bytes(length))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 1, 32, 32), np.float32),
        np.zeros((2, 2, 32, 32), np.uint8),
        np.zeros((2, 1, 0, 32), np.uint8),
        np.zeros((32, 32), np.uint8),
    ],
)
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match="uint8 images"):
        Mark(KEY).embed(images)
    with pytest.raises(ValueError, match="uint8 images"):
        Mark(KEY).detect(images)


def test_tiny_images_are_not_marked_and_say_nothing():
    tiny = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 15), np.uint8)
    with pytest.raises(ValueError, match="16 pixels"):
        Mark(KEY).embed(tiny)
    assert Mark(KEY).detect([tiny[0, :, :1, :1]]) == module.Detection(0.0, 1.0, 1)
    assert Mark(KEY).detect([tiny[0, :, :1, :1], tiny[1, :, :3]]).p_value > 0.01


def test_no_images_and_no_strength_are_refused(digits):
    with pytest.raises(ValueError, match="no images"):
        Mark(KEY).detect([])
    for strength in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            Mark(KEY).embed(digits, strength)
