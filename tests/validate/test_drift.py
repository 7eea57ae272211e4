"""Drift: the divergence and what is taken off it against their definitions; planted drift of real images."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.datasets import load_digits

from gan.data.arrays import read_arrays
from gan.prepare.decoding.statistics import grey, statistics
from gan.validate.drift import AXES, BINS, chance, compare, divergence, histogram
from tests.data.example_manifests import manifest, textured
from tests.stages.project import Project


def of_pixels(pixels, labels):
    """Return the manifest of uint8 (N, C, H, W)."""
    frame = manifest(len(pixels), labels=None)
    for name, values in statistics(pixels, grey(pixels)).items():
        frame[name] = np.asarray(values)
    frame["label"] = [str(label) for label in labels]
    return frame.astype({"label": "string"})


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    pixels = (images.reshape(-1, 1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    return pixels, labels


def beyond(frame, reference):
    return {name: drift.beyond for name, drift in compare(frame, reference).items()}


def test_divergence_is_scipys():
    draw = np.random.default_rng(0)
    for _ in range(20):
        ours, theirs = draw.integers(0, 9, (2, BINS))
        expected = jensenshannon(ours, theirs, base=2) ** 2
        assert divergence(ours, theirs) == pytest.approx(expected, abs=1e-12)
    assert divergence(np.array([3, 0]), np.array([0, 8])) == 1.0
    assert divergence(np.array([3, 6]), np.array([1, 2])) == 0.0


@pytest.mark.parametrize("sizes", [(64, 64), (64, 1800), (300, 300), (2000, 2000)])
@pytest.mark.parametrize("bins", [2, 10, 32, 1000])
def test_samples_of_one_distribution_stay_below_chance(sizes, bins):
    draw = np.random.default_rng(bins)
    share = np.full(bins, 1 / bins)
    pairs = [[draw.multinomial(size, share) for size in sizes] for _ in range(200)]
    above = [divergence(*pair) - chance(*pair) for pair in pairs]
    assert sum(each > 0 for each in above) <= 2 and max(above) < 0.01


def test_chance_falls_with_the_number_of_images():
    counts = np.full(BINS, 100)
    assert chance(counts, counts) == pytest.approx(2 * chance(2 * counts, 2 * counts))
    assert chance(np.array([5]), np.array([9])) == 0.0  # one bin leaves nothing to chance


def test_every_image_is_in_a_bin_and_a_bin_knows_its_values():
    frame = textured(50, 0)
    frame.loc[0, ["mean", "sharpness", "width", "height"]] = [255.0, 1e9, 1, 100_000]
    for statistic, axis in AXES.items():
        assert histogram(frame, statistic).sum() == 50
        for value in (1.0, 2.0):
            assert axis.value(float(axis.position(np.array([value]))[0])) == pytest.approx(value)


def test_brighter_digits_and_a_missing_class_are_drift(digits):
    pixels, labels = digits
    was = of_pixels(pixels, labels)
    brighter = of_pixels((pixels.astype(int) + 40).clip(0, 255).astype(np.uint8), labels)
    assert beyond(brighter, was)["mean"] > 0.5 and beyond(brighter, was)["label"] == 0
    remaining = labels != 3
    drifted = beyond(of_pixels(pixels[remaining], labels[remaining]), was)
    assert drifted["label"] > 0.02 and max(drifted[name] for name in drifted if name != "label") < 0.01


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.04])
def test_an_unchanged_set_and_fresh_parts_of_it_are_none(digits, share):
    pixels, labels = digits
    was = of_pixels(pixels, labels)
    for seed in range(3):
        chosen = np.random.default_rng(seed).permutation(len(pixels))[: int(share * len(pixels))]
        assert max(beyond(of_pixels(pixels[chosen], labels[chosen]), was).values()) < 0.01


@pytest.mark.slow
def test_cifar_halves_are_alike_and_planted_drift_is_not(datasets, tmp_path):
    project = Project(tmp_path / "p", datasets / "cifar10-images.tar.xz")
    project.run("download", "prepare")
    arrays = read_arrays(project.path / "data" / "prepared" / "train.safetensors")
    pixels, labels = arrays.images[::5], arrays.labels[::5]
    was = of_pixels(pixels, labels)
    order = np.random.default_rng(0).permutation(len(pixels))
    for half in (order[:5000], order[:300]):
        assert max(beyond(was.iloc[half], was).values()) < 0.01
    assert max(beyond(was.iloc[order[:5000]], was.iloc[order[5000:]]).values()) < 0.01
    brighter = of_pixels((pixels.astype(int) + 25).clip(0, 255).astype(np.uint8), labels)
    assert beyond(brighter, was)["mean"] > 0.05
    assert beyond(was[was["label"] != "3"], was)["label"] > 0.04
