import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from gan.data.arrays import read_arrays, write_header
from gan.errors import UserError


def write(path, images, labels=None, classes=None):
    with open(path, "wb") as file:
        write_header(file, images.shape, labels, classes)
        file.write(images.tobytes())
    return path


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), st.sampled_from([1, 3]), st.lists(st.text(max_size=9), min_size=1, max_size=4))
def test_what_is_written_is_read_by_us_and_by_the_safetensors_library(count, channels, classes):
    images = np.random.default_rng(count).integers(0, 256, (count, channels, 8, 8), dtype=np.uint8)
    labels = np.arange(count) % len(classes)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.safetensors", images, labels, tuple(classes))
        ours, theirs = read_arrays(path), load_file(path)
        assert ours.classes == tuple(classes)
        for name, expected in (("images", images), ("labels", labels)):
            np.testing.assert_array_equal(getattr(ours, name), expected)
            np.testing.assert_array_equal(theirs[name], expected)
            assert getattr(ours, name).dtype == theirs[name].dtype == expected.dtype
        with safe_open(path, "np") as file:
            assert json.loads(file.metadata()["classes"]) == classes


def test_without_labels(tmp_path):
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(1, 1, 4, 6)
    arrays = read_arrays(write(tmp_path / "a", images))
    assert arrays.labels is None and arrays.classes is None
    np.testing.assert_array_equal(arrays.images, images)


def test_writing_to_the_map_leaves_the_file_alone(tmp_path):
    path = write(tmp_path / "a", np.zeros((2, 1, 4, 4), np.uint8))
    before = path.read_bytes()
    read_arrays(path).images[:] = 9
    assert path.read_bytes() == before


def test_damaged_files_are_refused_by_name(tmp_path):
    whole = write(tmp_path / "a", np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 1]), ("x", "y")).read_bytes()
    for cut in [*range(0, len(whole), 7), len(whole) - 1]:
        (tmp_path / "cut").write_bytes(whole[:cut])
        with pytest.raises(UserError, match="cut: not a whole file"):
            read_arrays(tmp_path / "cut")
    for content in (
        whole + b"x",
        b"\xff" * 99,
        (2).to_bytes(8, "little") + b"{}",
        whole.replace(b"U8", b"I8"),
    ):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(UserError, match="bad: not a whole file"):
            read_arrays(tmp_path / "bad")


def test_labels_out_of_range_are_refused(tmp_path):
    path = write(tmp_path / "a", np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 2]), ("x", "y"))
    with pytest.raises(UserError, match="labels do not fit"):
        read_arrays(path)


def test_an_absent_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="no such file; run"):
        read_arrays(tmp_path / "none")
