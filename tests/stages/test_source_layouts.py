"""Layouts through the real commands: the account, and the expectation that a class is a class."""

import pandas as pd
import pytest

from gan.params import load
from tests.data.image_files import archive, encoded, picture
from tests.stages.project import Project


def pictures(*names: str, count: int = 40, kind: str = "png") -> dict[str, bytes]:
    paths = [name.format(number) for name in names for number in range(count)]
    return {path: encoded(picture(seed), kind.upper()) for seed, path in enumerate(paths)}


def test_halves_by_name_and_a_stray_picture(tmp_path):
    content = pictures("training_set/cat/{0}.png", "training_set/dog/{0}.png")
    content |= pictures("test_set/cat/{0}.png", count=9) | {"preview.png": encoded(picture(999))}
    project = Project(tmp_path / "p", archive(tmp_path / "x.zip", content), data__layout="auto")
    output = project.run("download", "prepare")
    assert "halves: 80 train from training_set/, 9 test from test_set/" in output
    assert "labels: 2 classes from folders: 'cat', 'dog'" in output
    assert "set aside 1  outside the halves' folders  'preview.png'" in output
    assert "89 of 90 images as 3×32×32: 80 train, 9 test (the source's halves), 2 classes" in output
    rows = pd.read_parquet(project.path / "data/prepared/manifest.parquet").set_index("path")
    stray = rows.loc["preview.png"]
    assert stray["status"] == "aside" and stray[["split", "label", "index"]].isna().all()


@pytest.mark.slow
def test_a_class_that_looks_like_a_half_stops_until_it_is_confirmed(tmp_path):
    content = pictures("bus/{0}.png", "plane/{0}.png", "train/{0}.png")
    project = Project(tmp_path / "p", archive(tmp_path / "x.zip", content))
    project.run("download", "prepare")
    process = project.start("validate")
    output = process.communicate()[1]
    assert process.returncode == 1 and "critical: classes that look like a half" in output
    assert "'train'; 40 images" in output and "if they are right, classes" in output
    project.set(data__layout="classes")  # as the line says
    output = project.run("prepare", "validate")
    assert "24 held out, 3 classes" in output and "critical" not in output


def test_patterns_are_an_answer_to_what_cannot_be_decided(tmp_path):
    content = pictures("train/{0}.png", "test/{0}.png", count=9) | pictures("extra/{0}.png")
    project = Project(tmp_path / "p", archive(tmp_path / "x.zip", content))
    project.run("download")
    error = project.fail("prepare")
    assert "40 of 58 images, such as 'extra/0.png', lie outside test/, train/; set data.layout: flat" in error
    project.set(data__layout={"train": "[te][rx]*/*", "test": "test/*"})
    assert "49 train, 9 test (the source's halves), no labels" in project.run("prepare")
    assert load(project.path / "params.yaml").data.layout.test == "test/*"
