"""What changed behind the same name is said at the next download."""

import pytest

from gan.stages import download
from tests.data.image_files import archive, encoded, files, folder, picture
from tests.stages.project import Project


@pytest.fixture
def notice(capsys, monkeypatch):
    """What a download, in this process, says of changes."""

    def run(project: Project) -> str:
        monkeypatch.chdir(project.path)
        download.main()
        lines = [line for line in capsys.readouterr().err.splitlines() if "is not what it was" in line]
        return lines[0].partition("last download: ")[2] if lines else ""

    return run


def test_a_folder_that_changed(tmp_path, notice):
    root = folder(tmp_path / "images", files(9))
    project = Project(tmp_path / "p", root)
    assert notice(project) == ""
    assert notice(project) == ""
    (root / "000.png").write_bytes(encoded(picture(77)))
    for name in ("001", "002", "003", "004"):
        (root / f"{name}.png").unlink()
    folder(root, {"cat/new.png": encoded(picture(78))})
    changes = "1 changed (000.png), 1 new (cat/new.png), 4 gone (001.png, 002.png, 003.png, …)"
    assert notice(project) == changes
    assert notice(project) == ""


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_changed_names_its_entries(tmp_path, notice, kind):
    path = archive(tmp_path / f"x.{kind}", files(4))
    project = Project(tmp_path / "p", path)
    notice(project)
    content = files(3)
    archive(path, {**content, "000.png": content["000.png"] + b"more", "new.png": content["001.png"]})
    assert notice(project) == "1 changed (000.png), 1 new (new.png), 1 gone (003.png)"
    archive(path, content)
    assert notice(project) == "1 changed (000.png), 1 gone (new.png)"
    content["002.png"] = content["002.png"][:-1] + b"!"  # as long as it was: only a zip's table tells
    archive(path, content)
    assert notice(project) == ("1 changed (002.png)" if kind == "zip" else f"1 changed (x.{kind})")


def test_another_source_is_not_a_changed_one(tmp_path, notice):
    one, other = folder(tmp_path / "a", files(3)), folder(tmp_path / "b", files(4))
    project = Project(tmp_path / "p", one)
    for source in (one, other, one):
        project.set(data__source=str(source))
        assert notice(project) == ""
    (one / "000.png").unlink()
    assert notice(project) == "1 gone (000.png)"


def test_a_failed_download_is_not_remembered(tmp_path, notice):
    root = folder(tmp_path / "images", files(3))
    project = Project(tmp_path / "p", root)
    notice(project)
    root.rename(tmp_path / "away")
    folder(root, {"notes.txt": b"no image"})
    project.fail("download")
    (root / "notes.txt").unlink()
    root.rmdir()
    (tmp_path / "away").rename(root)
    assert notice(project) == ""


def test_a_record_that_is_no_record_is_written_anew(tmp_path, notice):
    project = Project(tmp_path / "p", folder(tmp_path / "images", files(3)))
    notice(project)
    (record,) = (project.path / ".runs" / "sources").iterdir()
    whole = record.read_bytes()
    for content in (b"", b"[]", b"null", whole[:20]):
        record.write_bytes(content)
        assert notice(project) == ""
        assert record.read_bytes() == whole
