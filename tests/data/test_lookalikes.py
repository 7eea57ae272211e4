"""Names that print alike: what a message shows of them, also through the real commands."""

import pytest

from gan.data.lookalikes import printed, quoted, twins
from gan.data.manifest import read_manifest
from tests.data.image_files import archive, files, folder
from tests.stages.project import Project

COMPOSED, APART = "caf\u00e9", "cafe\u0301"
CYRILLIC = "c\u0430t"  # the second letter


@pytest.mark.parametrize(
    "other",
    [CYRILLIC, "cat ", "cat\u200b", "\ufeffcat", "c\u00adat", "cat\u00a0", "\uff43\uff41\uff54", "\u0441at"],
)
def test_what_looks_like_another_name_is_shown_in_escapes(other):
    assert printed(other) == printed("cat") != printed("cut")
    assert quoted(["cat", other, "dog"]) == ["'cat'", ascii(other), "'dog'"]
    assert quoted(["dog"], ["cat", other]) == ["'dog'"]
    assert twins(["dog", other, "cat"]) == [[ascii(name) for name in sorted(["cat", other])]]


def test_names_of_one_script_are_left_alone():
    names = ["кошка", "собака", COMPOSED, "猫", "Σκύλος"]
    assert quoted(names) == [repr(name) for name in names] and twins(names) == []
    assert quoted([COMPOSED, APART]) == ["'caf\\xe9'", "'cafe\\u0301'"]


@pytest.mark.slow
def test_classes_that_print_alike_are_told_apart(tmp_path):
    content = files(40, "cat/{0}.png") | {
        f"{CYRILLIC}/{name}": data for name, data in list(files(80).items())[40:]
    }
    project = Project(tmp_path / "p", folder(tmp_path / "x", content), validate__classes=["cat"])
    output = project.run("download", "prepare")
    assert r"2 classes from folders: 'cat', 'c\u0430t'" in output
    assert r"labels that print alike: 'cat' and 'c\u0430t'" in output
    process = project.start("validate")
    output = process.communicate()[1]
    assert r"classes that validate.classes lacks: 1, expected none; 'c\u0430t'" in output


def test_files_that_print_alike_are_told_apart(tmp_path):
    content = files(4) | {f"{COMPOSED}.png": files(5)["004.png"], f"{APART}.png": files(6)["005.png"]}
    project = Project(tmp_path / "p", archive(tmp_path / "x.zip", content))
    output = project.run("download", "prepare")
    assert r"files whose names print alike: 'cafe\u0301.png' and 'caf\xe9.png'" in output
    assert len(read_manifest(project.path / "data/prepared/manifest.parquet")) == 6
    del content[f"{COMPOSED}.png"]
    archive(tmp_path / "x.zip", content)
    assert r"1 gone ('caf\xe9.png')" in project.run("download")


def test_a_source_whose_name_only_looks_right(tmp_path):
    folder(tmp_path / APART, files(4))
    project = Project(tmp_path / "p", tmp_path / COMPOSED)
    error = project.fail("download")
    assert r"there is 'cafe\u0301', which prints like 'caf\xe9'" in error
    project.set(data__source=str(tmp_path / APART))
    assert "4 images" in project.run("download")


def test_patterns_fit_names_of_either_form(tmp_path):
    content = {f"{APART}/{name}": data for name, data in files(4).items()}
    content |= {f"test/{name}": data for name, data in list(files(9).items())[4:]}
    layout = {"train": f"{COMPOSED}/*", "test": "test/*"}
    project = Project(tmp_path / "p", archive(tmp_path / "x.zip", content), data__layout=layout)
    assert "4 train, 5 test (the source's halves)" in project.run("download", "prepare")
