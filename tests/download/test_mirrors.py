"""Mirrors of published sets and of single files: tried in order, held to checksums, not in the record."""

import hashlib
import json

import pytest

from gan.download.fetch import fetch
from gan.errors import UserError
from tests.data.image_files import archive, files, folder
from tests.data.web_site import Site, serving
from tests.stages.project import Project


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gan.download.retry.FIRST_WAIT", 0.001)


@pytest.fixture
def mnist(monkeypatch):
    """MNIST's table in torchvision, with small files and addresses where nothing listens."""
    from torchvision import datasets

    content = {name: name.encode() * 50 for name, _ in datasets.MNIST.resources}
    table = [(name, hashlib.md5(data).hexdigest()) for name, data in content.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", table)
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/", "http://127.0.0.1:10/"])
    return content


def taken(tmp_path, mirrors, name="raw"):
    (tmp_path / name).mkdir()
    fetched = fetch("mnist", tmp_path / name, tmp_path / "elsewhere", mirrors)
    return fetched, {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}


def test_a_set_comes_from_a_folder_with_no_network(tmp_path, mnist):
    folder(tmp_path / "share", mnist)
    _, got = taken(tmp_path, [str(tmp_path / "share")])
    assert got == mnist


def test_each_file_comes_from_the_first_mirror_that_has_its_bytes(tmp_path, mnist, capsys):
    first, second, third, fourth = mnist
    folder(tmp_path / "a", {first: mnist[first], second: b"other bytes"})
    folder(tmp_path / "b", {third: mnist[third]})
    with serving(Site({f"c/{name}": mnist[name] for name in (second, fourth)})) as site:
        mirrors = [str(tmp_path / "a"), (tmp_path / "b").as_uri(), f"{site.url}/c/"]
        fetched, got = taken(tmp_path, mirrors)
        assert got == mnist
        assert [asked["path"] for asked in site.asked] == [f"/c/{second}", f"/c/{fourth}"]
    output = capsys.readouterr().err
    actual, wanted = (hashlib.md5(data).hexdigest() for data in (b"other bytes", mnist[second]))
    assert f"{second} (md5 of its 11 bytes is {actual}, published is {wanted})" in output
    assert (tmp_path / "a" / second).read_bytes() == b"other bytes"  # refused, but not ours to remove
    folder(tmp_path / "d", mnist)
    assert taken(tmp_path, [str(tmp_path / "d")], "again")[0] == fetched  # whoever answered


def test_all_mirrors_down_is_one_line_that_may_pass(tmp_path, mnist):
    from gan.errors import Unreachable

    with pytest.raises(Unreachable, match=r"mnist: no download from http://127.0.0.1:9/.*give their folder"):
        taken(tmp_path, [str(tmp_path / "nowhere")])


def test_a_host_that_was_given_up_is_not_waited_for_again(tmp_path, mnist, capsys):
    with serving(Site(dict(list(mnist.items())[:3]))) as site:
        with pytest.raises(UserError):
            taken(tmp_path, ["http://127.0.0.1:11", site.url])
        assert capsys.readouterr().err.count("127.0.0.1:11/") == 3 + 4  # retries once; each file's move on


def test_what_an_interrupted_run_had_whole_is_not_asked_for_again(tmp_path, mnist):
    names = list(mnist)
    with serving(Site({name: mnist[name] for name in names[:2]})) as site:
        with pytest.raises(UserError):
            taken(tmp_path, [site.url])
        site.files, site.asked = mnist, []
        assert taken(tmp_path, [site.url], "again")[1] == mnist
        assert [asked["path"] for asked in site.asked] == [f"/{name}" for name in names[2:]]


def test_a_single_address_has_mirrors_too(tmp_path):
    content = archive(tmp_path / "x y.zip", files(3)).read_bytes()
    source = "http://127.0.0.1:9/set/x%20y.zip?key=secret"
    sha256 = hashlib.sha256(content).hexdigest()
    folder(tmp_path / "old", {"x y.zip": b"an older file"})
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "x y.zip").write_bytes(content)
    with serving(Site({"m/x%20y.zip": content})) as site:
        project = Project(tmp_path / "p", source, data__sha256=sha256)
        records = []
        for mirror in ("../share", f"{site.url}/m?key=secret"):
            project.set(data__mirrors=["../old", mirror])
            output = project.run("download")
            records.append(project.tree("data/raw"))
            assert "secret" not in output + json.dumps(list(map(str, records)))
            assert "../old/x y.zip (sha256 of its 13 bytes is" in output
        assert site.asked[0]["path"] == "/m/x%20y.zip?key=secret"
    assert records[0] == records[1]
    assert b'"origin": "http://127.0.0.1:9/set/x%20y.zip"' in records[0]["inventory.json"]


def test_a_pinned_file_of_ones_own(tmp_path):
    path = archive(tmp_path / "x.zip", files(3))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    project = Project(tmp_path / "p", path, data__sha256=sha256)
    project.run("download")
    before = project.tree("data")
    archive(path, files(4))
    error = project.fail("download")
    assert f"data.sha256: {path}: sha256 of its {path.stat().st_size} bytes is" in error
    assert sha256 in error
    assert project.tree("data") == before
    folder(tmp_path / "images", files(3))
    for several in ("mnist", str(tmp_path / "images")):
        project.set(data__source=several)
        assert f"data.sha256: {several} is not one file" in project.fail("download")
    project.set(data__source="digits")
    assert "data.sha256: digits: sha256 of its" in project.fail("download")
    assert project.tree("data") == before
