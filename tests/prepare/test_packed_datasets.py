import gzip
import io
import os
import pickle
import struct
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import savemat

from gan.data.datasets import IDX_FILES, SVHN_FILES, kind_of
from gan.data.inventory import Inventory
from gan.errors import UserError
from gan.prepare.image_stream import read_items
from gan.prepare.packed_datasets import cifar_items, digits_items, idx_items, svhn_items
from tests.data.image_files import LIMITS, archive, encoded, files, picture

RNG = np.random.default_rng(0)


def write_idx(path, array):
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def idx(tmp_path):
    images = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8)
    labels = np.array([0, 9, 2, 3, 4, 5, 6], np.uint8)
    for name, array in zip(IDX_FILES, (images[:5], labels[:5], images[5:], labels[5:]), strict=True):
        write_idx(tmp_path / name, array)
    return tmp_path, images


def test_idx(idx):
    folder, images = idx
    items = list(idx_items(folder, "fashion_mnist"))
    np.testing.assert_array_equal([item.content for item in items], images)
    assert [item.split for item in items] == ["train"] * 5 + ["test"] * 2
    assert items[1].label == "Ankle boot" and items[0].path == "train-images-idx3-ubyte.gz#00000"
    assert next(idx_items(folder, "/a/folder")).label == "0"


@pytest.mark.parametrize("damage", ["cut", "foreign", "short", "label"])
def test_damaged_idx(idx, damage):
    folder, images = idx
    path = folder / IDX_FILES[0]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "foreign":
        path.write_bytes(gzip.compress(b"hello, hello, hello"))
    elif damage == "short":
        write_idx(path, images[:4])
    else:
        write_idx(folder / IDX_FILES[1], np.full(5, 77, np.uint8))
    with pytest.raises(UserError, match="download it again"):
        list(idx_items(folder, "mnist"))


def cifar(folder, train, test=None):
    content = {
        "cifar-10-batches-py/data_batch_1": train,
        "cifar-10-batches-py/readme.html": b"<html>",
        "cifar-10-batches-py/batches.meta": pickle.dumps({"label_names": ["airplane", "bird"]}, 2),
        "cifar-10-batches-py/test_batch": test or train,
    }
    archive(folder / "cifar-10-python.tar.gz", content)
    return folder


def test_cifar_as_python_2_pickled_it(tmp_path):
    images = RNG.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    batch = pickle.dumps({"data": images.reshape(4, -1), "labels": [0, 1, 1, 0]}, 2)
    old = batch.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    for content in (batch, old):
        items = list(cifar_items(cifar(tmp_path, content)))
        np.testing.assert_array_equal(items[0].content, images[0].transpose(1, 2, 0))
        assert [item.label for item in items[:4]] == ["airplane", "bird", "bird", "airplane"]
        assert [item.split for item in items] == ["train"] * 4 + ["test"] * 4


def test_a_pickle_that_would_run_a_command_does_not(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    with pytest.raises(UserError, match=r"data_batch_1: .* asks for posix\.system"):
        list(cifar_items(cifar(tmp_path, pickle.dumps({"data": Evil(), "labels": []}, 2))))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps([1]), pickle.dumps({"labels": [0]})])
def test_damaged_cifar(tmp_path, content):
    with pytest.raises(UserError, match="damaged, or not what its name says"):
        list(cifar_items(cifar(tmp_path, content)))


def test_svhn(tmp_path):
    images = RNG.integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    for name in SVHN_FILES:
        savemat(
            tmp_path / name, {"X": images, "y": np.array([[10], [1], [2], [3], [9]])}, do_compression=True
        )
    items = list(svhn_items(tmp_path))
    np.testing.assert_array_equal(items[3].content, images[..., 3])
    assert [item.label for item in items[:5]] == ["0", "1", "2", "3", "9"]
    assert [item.split for item in items] == ["train"] * 5 + ["test"] * 5
    (tmp_path / SVHN_FILES[0]).write_bytes(b"MATLAB" * 99)
    with pytest.raises(UserError, match="download it again"):
        list(svhn_items(tmp_path))


def test_celeba(tmp_path):
    faces = {f"img_align_celeba/{i:06d}.jpg": encoded(picture(i), "JPEG") for i in range(1, 5)}
    (tmp_path / "files").mkdir()
    archive(tmp_path / "files" / "img_align_celeba.zip", faces)
    table = tmp_path / "files" / "list_eval_partition.txt"
    table.write_text("000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n000004.jpg 0\n")
    inventory = Inventory("celeba", "celeba", None, None, None, [], [])
    items = list(read_items(tmp_path, inventory, LIMITS))
    assert [item.split for item in items] == ["train", "test", "test", "train"]
    assert [item.content for item in items] == list(faces.values())
    assert {item.label for item in items} == {None}
    table.write_text("000001.jpg 0\n")
    with pytest.raises(UserError, match=r"says nothing of 000002\.jpg"):
        list(read_items(tmp_path, inventory, LIMITS))


def test_digits(tmp_path):
    row = ",".join(str(value) for value in [*range(16), 16, *[0] * 47, 7])
    (tmp_path / "digits.csv.gz").write_bytes(gzip.compress(f"{row}\n{row}\n".encode()))
    first, _ = digits_items(tmp_path)
    assert first.label == "7" and first.split is None
    assert first.content[0, 1] == 16 and first.content[2, 0] == 255  # 1/16 and 16/16 of 255
    (tmp_path / "digits.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match="download it again"):
        list(digits_items(tmp_path))


def test_what_a_set_of_files_is():
    assert kind_of(["digits.csv.gz"], True) == "digits"
    assert kind_of([*IDX_FILES, "README"]) == "idx"
    assert kind_of(list(files(2))) == "folder"
    assert kind_of(["photos.ZIP"]) == kind_of(["download.php"], True) == "archive"


def test_limits_and_what_is_passed_over(tmp_path):
    (tmp_path / "files").mkdir()
    content = {**files(3), "__MACOSX/._000.png": b"x", "notes.txt": b"x"}
    archive(tmp_path / "files" / "x.tar", content)
    listed = [{"path": "x.tar", "bytes": 0, "sha256": "", "origin": ""}]
    inventory = Inventory(
        "x.tar", "archive", None, 3, 0, listed, [{"path": "lost.png", "reason": "unreadable"}]
    )
    items = list(read_items(tmp_path, inventory, replace(LIMITS, max_files=5)))
    assert [(item.path, item.refused) for item in items[2:]] == [
        ("002.png", None),
        ("lost.png", "unreadable"),
    ]
    with pytest.raises(UserError, match=r"data\.max_files: the source has more than 4 files"):
        list(read_items(tmp_path, inventory, replace(LIMITS, max_files=4)))
    refused = list(read_items(tmp_path, inventory, replace(LIMITS, max_file_bytes=10)))
    assert {item.refused for item in refused[:3]} == {"too many bytes"}


def test_a_name_that_stands_twice_in_an_archive(tmp_path):
    (tmp_path / "files").mkdir()
    with tarfile.open(tmp_path / "files" / "x.tar", "w") as tar:
        for data in (b"one", b"two"):
            info = tarfile.TarInfo("a.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    listed = [{"path": "x.tar"}]
    items = list(read_items(tmp_path, Inventory("x", "archive", None, 2, 0, listed, []), LIMITS))
    assert [(item.path, item.content) for item in items] == [("a.png", b"one"), ("a.png#2", b"two")]
