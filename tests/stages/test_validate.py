import json

from tests.data.images import encoded, files, folder, picture
from tests.stages.project import Project


def result(project):
    return json.loads((project.path / "reports" / "validation" / "result.json").read_text())


def test_good_then_warned_then_stopped(tmp_path):
    content = {
        **files(70),
        "blank.png": encoded(picture(1).point(lambda _: 9)),
        "broken.png": b"\x89PNG\r\n\x1a\n",
    }
    project = Project(tmp_path / "p", folder(tmp_path / "x", content), validate__min_images=50)
    project.run("download", "prepare")
    said = project.run("validate")
    warned = [line for line in said.splitlines() if "warning: " in line]
    assert len(warned) == 2 and "'broken.png'" in warned[0] and "'blank.png'" in warned[1]
    assert result(project)["worst"] == "warning"
    first = project.tree("reports")
    project.run("validate")
    assert project.tree("reports") == first  # no time, no random name
    project.set(validate__min_images=5000)
    error = project.fail("validate")
    assert "1 of" in error and "expectations failed critically, see reports/validation/result.json" in error
    failing = [item for item in result(project)["expectations"] if not item["success"]]
    assert failing[0]["name"] == "training images" and failing[0]["limit"] == "at least 5000"
    assert result(project)["worst"] == "critical"


def test_leaks_of_published_halves_stop_it_with_the_files_named(tmp_path):
    content = {**files(70, "train/{0:03d}.png"), **files(20, "test/{0:03d}.png")}
    project = Project(tmp_path / "p", folder(tmp_path / "x", content))
    project.run("download", "prepare")
    process = project.start("validate")
    said = process.communicate()[1]
    assert process.returncode == 1
    expected = "critical: share of test images that stand in train too: 1, expected at most 0.01; 20 images: "
    assert f"{expected}'test/000.png', 'test/001.png', 'test/002.png' ..." in said


def test_an_absent_manifest_is_one_line(tmp_path):
    assert "manifest.parquet: no such file; run" in Project(tmp_path / "p").fail("validate")
