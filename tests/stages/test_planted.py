"""The real commands on a set that has everything wrong with it that a user's folder may have."""

import ctypes
import hashlib
import io
import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gan.data.arrays import read_arrays
from tests.data.image_files import archive, encoded
from tests.data.planted_faults import LARGEST, REPEATS, SKIPPED, cut, good, plant, planted, zipped
from tests.stages.project import Project

LENIENT = {"validate__min_images": 10, "validate__min_decodable": 0.5}


def may_not_read_all() -> None:
    """Take from root what lets it read files that are locked; others lack it anyway."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                os._exit(99)


def outcome(project):
    prepared = project.path / "data" / "prepared"
    manifest = pd.read_parquet(prepared / "manifest.parquet").set_index("path")
    return manifest, {half: read_arrays(prepared / f"{half}.safetensors") for half in ("train", "test")}


def direct(content):
    """Decode with Pillow alone, as a user would."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1)


def check(project, output, content, skipped):
    """Hold the manifest, the arrays and what was said to what was planted."""
    manifest, halves = outcome(project)
    for path, item in planted().items():
        row = manifest.loc[path]
        why = row["reason"] if row["status"] == "refused" else row["note"]
        assert (row["status"], "" if pd.isna(why) else why) == (item.status, item.why), path
        assert {name: row[name] for name in item.facts} == item.facts, path
    for path, reason in skipped.items():
        assert (manifest.loc[path, "status"], manifest.loc[path, "reason"]) == ("refused", reason)
    refused = manifest.loc[manifest["status"] == "refused", "reason"]
    counts = {reason: int(count) for count, reason in re.findall(r"refused +(\d+)  (.*?)  ", output)}
    assert counts == refused.value_counts().to_dict()
    assert set(manifest.index) == set(content) | set(skipped)
    for path, picture in good(60).items():
        row = manifest.loc[path]
        pixels = halves[row["split"]].images[row["index"]]
        np.testing.assert_array_equal(pixels, direct(picture), err_msg=path)
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == row["pixels_sha256"]
    for path, (original, exact) in REPEATS.items():
        assert manifest.loc[path, "split"] == manifest.loc[original, "split"]
        assert manifest.loc[path, "near_group"] == manifest.loc[original, "near_group"]
        equal = manifest.loc[path, "pixels_sha256"] == manifest.loc[original, "pixels_sha256"]
        assert equal == exact
    assert manifest["near_group"].notna().sum() == 2 * len(REPEATS)  # and nothing else is taken for one
    assert "no image left of the classes 'ghost'" in output


@pytest.mark.slow
def test_a_folder_with_everything_wrong(tmp_path):
    content = plant(tmp_path / "photos")
    assert len(planted()) + len(REPEATS) + len(SKIPPED) >= 30
    project = Project(tmp_path / "p", tmp_path / "photos", data__max_file_bytes=LARGEST, **LENIENT)
    output = project.run("download", preexec_fn=may_not_read_all) + project.run("prepare")
    check(project, output, content, SKIPPED)
    project.run("validate")
    result = json.loads((project.path / "reports" / "validation" / "result.json").read_text())
    manifest, _ = outcome(project)
    assert result["statistics"]["refused"] == (manifest["status"] == "refused").sum()


@pytest.mark.slow
def test_the_same_as_a_zip(tmp_path):
    content = plant(tmp_path / "photos")
    source = zipped(tmp_path / "photos.zip", content)
    project = Project(tmp_path / "p", source, data__max_file_bytes=LARGEST)
    output = project.run("download", "prepare")
    check(project, output, content, {"cat/tight.png": "packed too tightly"})


def test_near_repeats_across_published_halves_are_told(tmp_path):
    pictures = list(good(40).values())
    content = {f"train/{number:02d}": picture for number, picture in enumerate(pictures[:30])}
    content |= {f"test/{number:02d}": picture for number, picture in enumerate(pictures[30:])}
    content["test/same"] = pictures[0]
    content["test/nearly"] = encoded(Image.open(io.BytesIO(pictures[1])), "JPEG", quality=85)
    project = Project(tmp_path / "p", archive(tmp_path / "x.tar", content))
    output = project.run("download", "prepare")
    assert "leaks of the source's halves: 1 test images stand in train too, 1 nearly" in output
    assert "30 train, 12 test (the source's halves)" in output
    manifest, _ = outcome(project)
    groups = manifest["near_group"].dropna()
    assert groups.to_dict() == {"train/00": 0, "test/same": 0, "train/01": 1, "test/nearly": 1}


@pytest.mark.parametrize(
    ("name", "content", "limit"),
    [
        (
            "bomb.tar.gz",
            {"a.png": b"", "zeros.bin": bytes(40_000_000)},
            "data.max_ratio: bomb.tar.gz unpacks to",
        ),
        (
            "x.zip",
            {f"{i}.png": bytes(400_000) for i in range(5)},
            "data.max_bytes: x.zip has more than 1000000 ",
        ),
    ],
)
def test_a_source_beyond_a_limit_is_one_line(tmp_path, name, content, limit):
    content = {"good.png": encoded(cut(1)), **content}
    project = Project(tmp_path / "p", archive(tmp_path / name, content), data__max_bytes=10**9)
    project.run("download")
    if name == "x.zip":
        project.set(data__max_bytes=1_000_000)
    assert limit in project.fail("prepare")
    assert project.tree("data/prepared") == {} and project.leftovers() == []
