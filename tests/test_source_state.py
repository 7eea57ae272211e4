"""A source that changed is noticed: what was read is remembered, what did not change is not read again."""

import hashlib
import json
import os
import time

import pytest

from gan import source_state
from gan.paths import SOURCE_STATE as STATE
from gan.source_state import UNWATCHED, refresh
from tests.conftest import ROOT, set_params
from tests.data.image_files import archive, encoded, files, folder, picture
from tests.data.web_site import Site, serving


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "p"
    (root / "data").mkdir(parents=True)
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (root / STATE).write_text((ROOT / STATE).read_text())
    monkeypatch.chdir(root)
    return root


def old(path):
    """Make files look as if they had been there for long."""
    for each in [path, *path.rglob("*")]:
        os.utime(each, (1_600_000_000, 1_600_000_000))
    return path


def test_what_is_committed_is_the_default_and_published_sets_change_nothing(project):
    assert json.loads((ROOT / STATE).read_text()) == UNWATCHED
    for source in ("digits", "cifar10"):
        set_params(project, data__source=source)
        assert not refresh()


def test_a_folder_that_changed_is_noticed_and_only_what_changed_is_read(project, tmp_path, monkeypatch):
    source = old(folder(tmp_path / "images", {**files(6, "cat/{0}.png"), ".hidden": b"x"}))
    set_params(project, data__source=str(source))
    read = []

    def checksum(path):
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(source_state, "sha256_file", checksum)
    assert refresh() and len(read) == 6
    before = (project / STATE).read_bytes()
    read.clear()
    assert not refresh() and read == []
    (source / "cat" / "0.png").touch()  # another time, the same bytes: not a change
    assert not refresh() and read == ["0.png"]
    os.utime(source / "cat" / "0.png", (1_600_000_000, 1_600_000_000))
    assert not refresh()
    (source / "cat" / "1.png").write_bytes(encoded(picture(99)))
    assert refresh()
    assert (project / STATE).read_bytes() != before
    (source / "cat" / "1.png").write_bytes(files(2)["001.png"])
    assert refresh() and (project / STATE).read_bytes() == before  # what it was again
    (source / ".hidden").write_bytes(b"y")
    assert not refresh()


def test_an_archive_and_a_pinned_file(project, tmp_path):
    path = archive(tmp_path / "x.zip", files(3))
    set_params(project, data__source=str(path))
    assert refresh() and not refresh()
    archive(path, files(4))
    assert refresh()
    set_params(project, data__sha256="0" * 64)
    assert refresh() and json.loads((project / STATE).read_text()) == UNWATCHED


def test_an_address_is_asked_for_its_version(project):
    with serving(Site({"x.zip": b"one"})) as site:
        set_params(project, data__source=f"{site.url}/x.zip")
        assert refresh() and not refresh()
        assert "etag" in json.loads((project / STATE).read_text())["state"]
        site.files["x.zip"] = b"two"
        site.days = [{"status": 503}] * 2  # busy, to HEAD and GET: that tells nothing
        assert not refresh()
        site.days = [{"status": 405}]  # a server that knows GET alone
        assert refresh() and not refresh()
        site.version = ""  # one that names no version
        assert refresh() and json.loads((project / STATE).read_text()) == UNWATCHED
    assert not refresh()  # it is gone: download says so


@pytest.mark.slow
def test_sixty_thousand_files_take_two_seconds(project, tmp_path):
    source = tmp_path / "many"
    for folder_number in range(60):
        (source / str(folder_number)).mkdir(parents=True)
        for number in range(1000):
            (source / str(folder_number) / f"{number}.png").touch()
    old(source)
    set_params(project, data__source=str(source))
    refresh()
    started = time.process_time()
    assert not refresh()
    assert time.process_time() - started < 2
