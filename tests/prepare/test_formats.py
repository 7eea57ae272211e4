"""Formats that people have, each with labels and halves, through the real commands."""

import gzip
import io
import json
import pickle
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gan.data.arrays import read_arrays
from tests.data.image_files import archive, encoded, folder, picture
from tests.stages.project import Project

PIXELS = np.stack([np.asarray(picture(seed, (32, 32))) for seed in range(12)])
GREY = np.stack([np.asarray(picture(seed, (32, 32), "L")) for seed in range(12)])
NUMBERS = np.arange(12) % 3


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + np.array(array.shape, ">u4").tobytes()
        + array.astype(np.uint8).tobytes()
    )


def parquet(first: int, last: int) -> bytes:
    rows = [{"bytes": encoded(picture(seed, (32, 32))), "path": f"{seed}.png"} for seed in range(first, last)]
    table = pa.table({"image": rows, "label": [int(NUMBERS[seed]) for seed in range(first, last)]})
    metadata = {"info": {"features": {"label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}}}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(metadata)}), buffer)
    return buffer.getvalue()


def tar_of(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def shard(first: int, last: int, kind: str = "cls") -> bytes:
    content = {}
    for seed in range(first, last):
        label = str(NUMBERS[seed])
        content[f"{seed:04d}.png"] = encoded(picture(seed, (32, 32)))
        content[f"{seed:04d}.{kind}"] = (label if kind == "cls" else f'{{"label": {label}}}').encode()
    return tar_of(content)


def zip_of(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return buffer.getvalue()


def by_class(first: int, last: int) -> bytes:
    """A zip of pictures in a folder for each class."""
    return zip_of({f"{'abc'[NUMBERS[s]]}/{s}.png": encoded(picture(s, (32, 32))) for s in range(first, last)})


def table(first: int, last: int, label: bool = True) -> bytes:
    head = ["label"] * label + [f"pixel{number}" for number in range(1024)]
    rows = [[NUMBERS[s]] * label + GREY[s].ravel().tolist() for s in range(first, last)]
    return "\n".join(",".join(map(str, row)) for row in [head, *rows]).encode()


def cifar(first: int, last: int) -> bytes:
    data = PIXELS[first:last].transpose(0, 3, 1, 2).reshape(last - first, -1)
    return pickle.dumps({"data": data, "labels": NUMBERS[first:last].tolist()})


META = pickle.dumps({"label_names": ["cat", "dog", "owl"]})
HALF = "8 train, 4 test (the source's halves), 3 classes"
CASES = {
    "hub parquet": (
        {
            f"data/{half}-00000-of-00001.parquet": parquet(*rows)
            for half, rows in (("train", (0, 8)), ("test", (8, 12)))
        },
        HALF,
        PIXELS,
    ),
    "keras npz": (
        {"x.npz": npz(x_train=GREY[:8], y_train=NUMBERS[:8], x_test=GREY[8:], y_test=NUMBERS[8:])},
        HALF,
        GREY,
    ),
    "medmnist npz": (
        {
            "x.npz": npz(
                train_images=PIXELS[:8],
                train_labels=NUMBERS[:8, None],
                val_images=PIXELS[8:],
                val_labels=NUMBERS[8:, None],
            )
        },
        HALF,
        PIXELS,
    ),
    "npy": (
        {
            "images.npy": npy(PIXELS.transpose(0, 3, 1, 2)),
            "labels.npy": npy(np.array(["cat", "dog", "owl"])[NUMBERS]),
        },
        "(held out by content), 3 classes",
        PIXELS,
    ),
    "npy of floats": ({"images.npy": npy((GREY / 255).astype(np.float32))}, "no labels", GREY),
    "torchvision's MNIST root": (
        {
            f"MNIST/raw/{half}-{what}-ubyte{suffix}": pack(idx(array[rows]))
            for half, rows in (("train", slice(0, 8)), ("t10k", slice(8, 12)))
            for what, array in (("images-idx3", GREY), ("labels-idx1", NUMBERS))
            for suffix, pack in (("", bytes), (".gz", gzip.compress))
        },
        HALF,
        GREY,
    ),
    "EMNIST": (
        {
            f"emnist-letters-{half}-{what}-ubyte.gz": gzip.compress(idx(array[rows]))
            for half, rows in (("train", slice(0, 8)), ("test", slice(8, 12)))
            for what, array in (("images-idx3", GREY.transpose(0, 2, 1)), ("labels-idx1", NUMBERS + 30))
        },
        HALF,
        GREY,
    ),
    "CIFAR's batches": (
        {
            "cifar-10-batches-py/data_batch_1": cifar(0, 4),
            "cifar-10-batches-py/data_batch_2": cifar(4, 8),
            "cifar-10-batches-py/test_batch": cifar(8, 12),
            "cifar-10-batches-py/batches.meta": META,
        },
        HALF,
        PIXELS,
    ),
    "WebDataset": ({"set-train-0000.tar": shard(0, 8), "set-val-0000.tar": shard(8, 12)}, HALF, PIXELS),
    "WebDataset with json": (
        {"train-0.tar": shard(0, 8, "json"), "val-0.tar": shard(8, 12, "json")},
        HALF,
        PIXELS,
    ),
    "shards by half": (
        {
            f"{half}/00000{n}.tar": shard(*rows)
            for half, n, rows in (("train", 0, (0, 4)), ("train", 1, (4, 8)), ("val", 0, (8, 12)))
        },
        HALF,
        PIXELS,
    ),
    "packed shards": (
        {"set-train-0.tar.gz": gzip.compress(shard(0, 8)), "set-val-0.tar.gz": gzip.compress(shard(8, 12))},
        HALF,
        PIXELS,
    ),
    "parquet in parts": (
        {
            f"data/{name}.parquet": parquet(*rows)
            for name, rows in (
                ("train-00000-of-00002", (0, 4)),
                ("train-00001-of-00002", (4, 8)),
                ("test-00000-of-00001", (8, 12)),
            )
        },
        HALF,
        PIXELS,
    ),
    "parquet by half": (
        {
            f"default/{half}/0000.parquet": parquet(*rows)
            for half, rows in (("train", (0, 8)), ("test", (8, 12)))
        },
        HALF,
        PIXELS,
    ),
    "zips by half": ({"train.zip": by_class(0, 8), "test.zip": by_class(8, 12)}, HALF, PIXELS),
    "Kaggle's table of pixels": (
        {"train.csv": table(0, 8), "test.csv": table(8, 12, label=False)},
        "8 train, 4 test (the source's halves), 3 classes",
        GREY,
    ),
}


WAYS = [(case, "folder" if number % 2 else "zip") for number, case in enumerate(CASES)]
NESTED = ["WebDataset", "shards by half", "packed shards", "parquet in parts", "zips by half"]
MORE = [(case, way) for case in NESTED for way in ("folder", "zip", "tar") if (case, way) not in WAYS]
MORE.remove(("zips by half", "tar"))  # a zip needs its end first, which a tar gives last
WAYS += [pytest.param(*each, marks=pytest.mark.slow) for each in MORE]


@pytest.mark.parametrize(("case", "way"), WAYS)
def test_labels_halves_and_pixels(tmp_path, case, way):
    content, expected, pixels = CASES[case]
    source = folder(tmp_path / "x", content) if way == "folder" else archive(tmp_path / "x.zip", content)
    if way == "tar":
        (tmp_path / "x.tar").write_bytes(tar_of(content))
        source = tmp_path / "x.tar"
    project = Project(tmp_path / "p", source)
    assert expected in project.run("download", "prepare")
    prepared = project.path / "data" / "prepared"
    rows = pd.read_parquet(prepared / "manifest.parquet")
    arrays = {half: read_arrays(prepared / f"{half}.safetensors") for half in ("train", "test")}
    count = sum(len(packed_set.images) for packed_set in arrays.values())
    assert count == 12 and (rows["status"] == "ok").all()
    want = {image.tobytes() for image in (pixels if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2))}
    assert {image.tobytes() for packed_set in arrays.values() for image in packed_set.images} == want


def test_one_file_is_a_source(tmp_path):
    for name, content in (("x.parquet", parquet(0, 12)), ("x.npz", npz(images=PIXELS, labels=NUMBERS))):
        (tmp_path / name).write_bytes(content)
        project = Project(tmp_path / f"p{name}", tmp_path / name)
        assert "12 of 12 images" in project.run("download", "prepare")


def test_objects_are_never_unpickled(tmp_path):
    (tmp_path / "x.npz").write_bytes(npz(images=np.array([object(), None], dtype=object)))
    project = Project(tmp_path / "p", tmp_path / "x.npz")
    project.run("download")
    assert "holds Python objects, which only unpickling reads" in project.fail("prepare")


def test_emnist_under_mnists_names_is_told_with_a_way_out(tmp_path):
    names = {"images-idx3": GREY.transpose(0, 2, 1), "labels-idx1": NUMBERS + 30}
    content = {
        f"{half}-{what}-ubyte.gz": gzip.compress(idx(array))
        for half in ("train", "t10k")
        for what, array in names.items()
    }
    project = Project(tmp_path / "p", folder(tmp_path / "x", content))
    project.run("download")
    assert "labels up to 32 under MNIST's names, which has 10 classes" in project.fail("prepare")
    content = {f"emnist-balanced-{name}": data for name, data in content.items()}
    project.set(data__source=str(folder(tmp_path / "y", content)))
    assert "3 classes" in project.run("download", "prepare")


@pytest.mark.parametrize("way", ["folder", "zip", "tar"])
def test_an_archive_beside_images_is_left_alone(tmp_path, way):
    """It is what they were unpacked from, or no part of the set."""
    content = {f"cat/{seed}.png": encoded(picture(seed, (32, 32))) for seed in range(4)}
    content |= {"images.tar": shard(0, 4), "images.zip": by_class(0, 4)}
    source = folder(tmp_path / "x", content) if way == "folder" else archive(tmp_path / "x.zip", content)
    if way == "tar":
        (tmp_path / "x.tar").write_bytes(tar_of(content))
        source = tmp_path / "x.tar"
    project = Project(tmp_path / "p", source)
    assert "4 of 4 images" in project.run("download", "prepare")


def test_damage_and_bad_paths_of_an_inner_archive_are_one_line(tmp_path):
    whole = shard(0, 8)
    cases = {
        "cut.zip": ({"train.tar": whole[: len(whole) // 2]}, "truncated or damaged archive"),
        "out.zip": ({"train.tar": tar_of({"../a.png": b"x"})}, "entry ../a.png points out of the archive"),
        "none.zip": ({"train.tar": b"no tar at all" * 100}, "truncated or damaged archive"),
        "inner.zip": ({"train.zip": by_class(0, 4)[:-30]}, "truncated or damaged archive"),
    }
    for name, (content, message) in cases.items():
        project = Project(tmp_path / f"p {name}", archive(tmp_path / name, content))
        assert message in project.fail("download")


def test_limits_hold_for_inner_archives(tmp_path):
    project = Project(tmp_path / "p", folder(tmp_path / "x", {"a.tar": shard(0, 8), "b.tar": shard(8, 12)}))
    project.run("download")
    for name, value in (("max_files", 10), ("max_bytes", 9000)):
        project.set(**{f"data__{name}": value})
        assert f"data.{name}:" in project.fail("prepare")
        project.set(**{f"data__{name}": 10**9})
