import hashlib
import io
import json
import os
import resource
import shutil
import signal
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from gan.data.arrays import read_arrays
from gan.prepare.decoding.workers import MOST_WORKERS
from tests.data.image_files import archive, encoded, files, folder, picture
from tests.stages.project import Project

OUTS = ["manifest.parquet", "test.safetensors", "train.safetensors"]
BAD = {
    "cut.jpg": (encoded(picture(1, (200, 100)), "JPEG")[:900], "truncated"),
    "page.png": (b"<html>404</html>", "not an image"),
    "zero.gif": (b"", "empty file"),
    "dot.png": (encoded(picture(1, (1, 1))), "too small"),
    "ribbon.png": (encoded(picture(1, (800, 2))), "too small"),
    "bomb.png": (encoded(Image.new("1", (4000, 4000))), "too many pixels"),
    "large.bmp": (encoded(picture(1, (500, 500)), "BMP"), "too many bytes"),
}


def outcome(project):
    folder = project.path / "data" / "prepared"
    manifest = pd.read_parquet(folder / "manifest.parquet")
    return manifest, {half: read_arrays(folder / f"{half}.safetensors") for half in ("train", "test")}


def mixed(count):
    """Images of mixed sizes, modes and formats, their names telling which."""
    kinds = [("JPEG", "RGB"), ("PNG", "RGBA"), ("GIF", "P"), ("WEBP", "RGB"), ("BMP", "L"), ("JPEG", "CMYK")]
    kinds += [("TIFF", "RGB"), ("PNG", "1"), ("PPM", "RGB"), ("PNG", "LA")]
    content = {}
    for seed in range(count):
        kind, mode = kinds[seed % len(kinds)]
        size = (16 + 13 * seed % 90, 16 + 29 * seed % 70)
        content[f"{seed:04d}-{mode}.{kind.lower()}"] = encoded(picture(seed, size, mode), kind)
    return content


def test_a_flat_folder_of_mixed_images_good_and_bad(tmp_path):
    bad = {name: content for name, (content, _) in BAD.items()}
    source = folder(tmp_path / "photos", {**mixed(500 - len(bad)), **bad, "notes.txt": b"hello"})
    project = Project(tmp_path / "p", source, data__max_pixels=1_000_000, data__max_file_bytes=500_000)
    output = project.run("download", "prepare")
    manifest, halves = outcome(project)
    assert len(manifest) == 500 and manifest["path"].is_monotonic_increasing
    refused = manifest[manifest["status"] == "refused"].set_index("path")["reason"]
    assert refused.to_dict() == {name: reason for name, (_, reason) in BAD.items()}
    assert "refused 2  too small        'dot.png', 'ribbon.png'" in output
    assert "493 of 500 images as 3×32×32: 394 train, 99 test (held out by content), no labels" in output
    assert halves["train"].images.shape == (394, 3, 32, 32) and halves["train"].labels is None
    assert manifest["label"].isna().all()
    assert manifest["sha256"].isna().sum() == 1  # of the file that was too large to be read
    for row in manifest[manifest["status"] == "ok"].to_dict("records"):  # each points at its own pixels
        pixels = halves[row["split"]].images[row["index"]]
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == row["pixels_sha256"]
    first = project.tree("data/prepared")
    project.run("prepare")
    assert project.tree("data/prepared") == first and sorted(first) == OUTS
    assert project.leftovers() == []


def test_published_halves_and_classes_bit_equal_to_a_direct_decode(tmp_path):
    content = {}
    for half, count in (("train", 40), ("val", 10)):
        for seed in range(count):
            name = f"set/{half}/{'cat' if seed % 2 else 'dog'}/{seed:03d}.jpg"
            content[name] = encoded(picture(seed + 100 * (half == "val"), (32, 32)), "JPEG")
    project = Project(tmp_path / "p", archive(tmp_path / "x.tar.xz", content))
    assert "40 train, 10 test (the source's halves), 2 classes" in project.run("download", "prepare")
    manifest, halves = outcome(project)
    for row in manifest.to_dict("records"):
        pixels = np.asarray(Image.open(io.BytesIO(content[row["path"]]))).transpose(2, 0, 1)
        arrays = halves[row["split"]]
        np.testing.assert_array_equal(arrays.images[row["index"]], pixels)
        assert arrays.classes[arrays.labels[row["index"]]] == row["label"] == row["path"].split("/")[2]
    with safe_open(project.path / "data" / "prepared" / "train.safetensors", "numpy") as file:
        policy = json.loads(file.metadata()["prepared"])
    assert policy["fit"] == "center_crop" and policy["channels"] == 3
    theirs = load_file(project.path / "data" / "prepared" / "train.safetensors")
    np.testing.assert_array_equal(theirs["images"], halves["train"].images)
    np.testing.assert_array_equal(theirs["labels"], halves["train"].labels)


def test_grey_and_colour_together(tmp_path):
    content = {
        f"{seed}.png": encoded(picture(seed, (32, 32), "L" if seed % 3 else "RGB")) for seed in range(9)
    }
    project = Project(tmp_path / "p", folder(tmp_path / "x", content))
    project.run("download", "prepare")
    auto = project.tree("data/prepared")
    manifest, halves = outcome(project)
    for row in manifest.to_dict("records"):
        expected = np.asarray(Image.open(io.BytesIO(content[row["path"]])).convert("RGB")).transpose(2, 0, 1)
        np.testing.assert_array_equal(halves[row["split"]].images[row["index"]], expected)
    project.set(data__channels=3)
    project.run("prepare")
    assert project.tree("data/prepared") == auto
    project.set(data__channels=1)
    project.run("prepare")
    assert outcome(project)[1]["train"].images.shape[1] == 1


def test_equal_images_never_straddle_and_names_do_not_matter(tmp_path):
    content = list(files(20).values())
    names = [f"{number:03d}.png" for number in range(60)]
    splits = []
    for order in (names, names[::-1]):
        source = folder(tmp_path / order[0], {name: content[i % 20] for i, name in enumerate(order)})
        project = Project(tmp_path / f"p{order[0]}", source)
        project.run("download", "prepare")
        manifest = outcome(project)[0]
        assert manifest.groupby("pixels_sha256")["split"].nunique().max() == 1
        splits.append(manifest.groupby("pixels_sha256")["split"].first().to_dict())
    assert splits[0] == splits[1]


def test_a_source_with_only_one_half_is_split(tmp_path):
    project = Project(tmp_path / "p", archive(tmp_path / "x.zip", files(10, "train/{0}.png")))
    assert "8 train, 2 test (held out by content)" in project.run("download", "prepare")


def test_nothing_usable_is_one_line_with_the_reasons(tmp_path):
    source = folder(tmp_path / "x", {"a.png": b"", "b.png": b"hello", "c.png": b"hello"})
    project = Project(tmp_path / "p", source)
    project.run("download")
    error = project.fail("prepare")
    assert error.endswith("none of 3 images can be used: 2 not an image, 1 empty file")
    assert project.tree("data/prepared") == {}


def test_what_download_left_out_has_a_row(tmp_path):
    source = folder(tmp_path / "x", files(3))
    (source / "gone.png").symlink_to("nowhere.png")
    project = Project(tmp_path / "p", source)
    project.run("download", "prepare")
    row = outcome(project)[0].set_index("path").loc["gone.png"]
    assert (row["status"], row["reason"]) == ("refused", "a broken link")


def test_limits(tmp_path):
    project = Project(tmp_path / "p", folder(tmp_path / "x", files(5)), data__max_files=4)
    project.run("download")
    assert "data.max_files: the source has more than 4 files" in project.fail("prepare")


def test_without_a_download_it_says_what_to_run(tmp_path):
    assert "data/raw/inventory.json: no such file; run" in Project(tmp_path / "p").fail("prepare")


@pytest.mark.parametrize(
    "limit", [30_000, pytest.param(150_000, marks=pytest.mark.slow)]
)  # while decoding; while packing
def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path, limit):
    project = Project(tmp_path / "p", archive(tmp_path / "x.zip", files(40)), data__channels=3)
    project.run("download", "prepare")
    before = project.tree("data")
    project.set(data__image_size=32 if limit < 100_000 else 64, data__seed=1)

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    assert "error: data/prepared" in project.fail("prepare", preexec_fn=full)
    assert project.tree("data") == before


@pytest.fixture
def slow_project(tmp_path):
    """Images that take seconds to decode."""
    large = encoded(picture(1, (2500, 2500)), "PNG", compress_level=1)
    content = {f"{number:03d}.png": large for number in range(80)}
    project = Project(tmp_path / "p", folder(tmp_path / "x", content))
    project.run("download")
    return project


@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGINT))],
)
def test_killed_midway_it_leaves_nothing_half_written_and_nobody_behind(slow_project, how):
    process = slow_project.start("prepare")
    deadline = time.monotonic() + 60
    while (
        len(children := psutil.Process(process.pid).children(recursive=True)) < 2 and process.poll() is None
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(1)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, how)
    output = process.communicate()[1]
    assert process.returncode == (-how if how == signal.SIGKILL else 130) and "Traceback" not in output
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert slow_project.tree("data/prepared") == {} and slow_project.leftovers() == []


@pytest.mark.slow
def test_after_a_kill_the_next_run_is_right(tmp_path):
    content = {f"{i:02d}.png": encoded(picture(i, (1500, 1500)), compress_level=1) for i in range(70)}
    projects = [Project(tmp_path / name, folder(tmp_path / "x", content)) for name in ("killed", "not")]
    for project in projects:
        project.run("download")
    process = projects[0].start("prepare")
    time.sleep(3)
    assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.communicate()
    for project in projects:
        project.run("prepare")
    killed, whole = (project.tree("data/prepared") for project in projects)
    assert sorted(killed) == OUTS and killed == whole


def test_a_killed_worker_is_one_line(slow_project):
    process = slow_project.start("prepare")
    while process.poll() is None:
        with suppress(psutil.Error):  # a child that has just ended
            for child in psutil.Process(process.pid).children(recursive=True):
                old = time.time() - child.create_time() > 0.7
                if old and "resource_tracker" not in " ".join(child.cmdline()):
                    child.kill()
        time.sleep(0.1)
    output = process.communicate()[1]
    assert process.returncode == 1 and "Traceback" not in output
    assert "a decoding process was killed between 0" in output
    assert slow_project.tree("data/prepared") == {}


def peak_memory(process):
    """Wait for a process; return the most bytes that it and its children held at once."""
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        with suppress(psutil.Error):  # a worker that has just ended
            family = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(member.memory_info().rss for member in family))
        time.sleep(0.2)
    assert process.returncode == 0, process.communicate()[1]
    return peak


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "train", "shape"),
    [("cifar10-images.tar.xz", 50_000, (3, 32, 32)), ("mnist-png.tar.xz", 60_000, (1, 32, 32))],
)
def test_real_sets_in_bounded_memory(tmp_path, datasets, name, train, shape):
    project = Project(tmp_path / "p", datasets / name)
    project.run("download")
    process = project.start("prepare")
    peak = peak_memory(process)
    manifest, halves = outcome(project)
    assert (manifest["status"] == "ok").all()
    assert halves["train"].images.shape == (train, *shape)
    assert halves["test"].images.shape == (10_000, *shape) and len(halves["test"].classes) == 10
    assert peak < 1_000_000_000


@pytest.mark.slow
def test_a_set_several_times_larger_than_the_memory_that_is_used(tmp_path):
    """docs/data.md states the figure; the set is 2.2 GB when prepared."""
    pictures = [encoded(picture(seed, (128, 128)), "JPEG") for seed in range(150)]
    source = archive(tmp_path / "x.tar", {f"{i:05d}.jpg": pictures[i % 150] for i in range(45_000)})
    project = Project(tmp_path / "p", source, data__image_size=128)
    project.run("download")
    peak = peak_memory(project.start("prepare"))
    prepared = project.path / "data" / "prepared"
    size = sum(path.stat().st_size for path in prepared.iterdir())
    cores = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    assert size > 2_200_000_000
    assert peak < 400_000_000 + 120_000_000 * cores
    assert size > 3 * peak or cores > 2
    shutil.rmtree(prepared)
