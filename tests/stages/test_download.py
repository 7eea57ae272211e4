import functools
import hashlib
import http.server
import json
import os
import resource
import shutil
import socket
import threading

import pytest

from gan.download.fetch import fetch
from gan.download.local_copy import copy_tree
from gan.errors import UserError
from tests.data.image_files import archive, encoded, files, folder, picture, tar_with_link
from tests.stages.project import Project


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Where downloads grow in tests that call `fetch` here, and short waits between their attempts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gan.download.retry.FIRST_WAIT", 0.01)


def inventory(project):
    return json.loads((project.path / "data" / "raw" / "inventory.json").read_text())


def test_digits_need_no_network(tmp_path):
    project = Project(tmp_path / "p")
    project.run("download")
    first = project.tree("data/raw")
    assert sorted(first) == ["files/digits.csv.gz", "inventory.json"]
    project.run("download")
    assert project.tree("data/raw") == first
    (entry,) = inventory(project)["files"]
    assert entry["sha256"] == hashlib.sha256(first["files/digits.csv.gz"]).hexdigest()
    assert inventory(project)["licence"].startswith("CC BY 4.0")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_an_archive_is_copied_as_it_is(tmp_path, kind):
    path = archive(tmp_path / f"x.{kind}", {**files(3), "__MACOSX/._000.png": b"x", "notes.txt": b"x"})
    project = Project(tmp_path / "p", f"../x.{kind}")  # relative to where the command runs
    project.run("download")
    assert project.tree("data/raw/files") == {path.name: path.read_bytes()}
    recorded = inventory(project)
    assert (recorded["kind"], recorded["images"], recorded["other_files"]) == ("archive", 3, 2)
    assert recorded["files"][0]["origin"] == f"../x.{kind}"


def test_a_folder_is_copied_without_clutter(tmp_path):
    content = {**files(3, "cat/{0}.png"), "dog/é\n.jpg": encoded(picture(9), "JPEG"), "notes.txt": b"x"}
    folder(tmp_path / "images", {**content, ".git/x.png": b"", "Thumbs.db": b"", "a/__MACOSX/x.png": b""})
    project = Project(tmp_path / "p", (tmp_path / "images").as_uri())
    project.run("download")
    assert project.tree("data/raw/files") == content
    assert [entry["path"] for entry in inventory(project)["files"]] == sorted(content)
    assert (inventory(project)["images"], inventory(project)["other_files"]) == (4, 1)


def test_links_in_a_folder(tmp_path):
    root = folder(tmp_path / "images", files(2, "cat/{0}.png"))
    (root / "link.png").symlink_to("cat/0.png")
    (root / "again").symlink_to("cat")
    (root / "loop.png").symlink_to("loop.png")
    (root / "up").symlink_to(".")
    os.mkfifo(root / "pipe.png")
    project = Project(tmp_path / "p", root)
    assert "4 left out" in project.run("download")
    assert project.tree("data/raw/files")["link.png"] == files(1)["000.png"]
    reasons = {entry["path"]: entry["reason"] for entry in inventory(project)["skipped"]}
    links = {"again": "a link to a folder", "up": "a link to a folder", "loop.png": "a broken link"}
    assert reasons == {**links, "pipe.png": "not a regular file"}
    (root / "out.png").symlink_to("/etc/passwd")
    project.set(data__links="refuse")
    assert "out.png: a link out of the folder" in project.fail("download")


def test_an_unreadable_file_is_named_and_the_rest_copied(tmp_path, monkeypatch):
    root = folder(tmp_path / "images", files(3))

    def refuse(source, target):
        if source.name == "001.png":
            raise PermissionError(13, "Permission denied", str(source))
        shutil.copyfile(source, target)

    monkeypatch.setattr("gan.download.local_copy.copy_file", refuse)
    (tmp_path / "copy").mkdir()
    assert copy_tree(root, tmp_path / "copy").skipped == {"001.png": "unreadable"}
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["000.png", "002.png"]


def test_file_names_that_are_no_unicode(tmp_path):
    root = folder(tmp_path / "images", files(1))
    (root / "b").mkdir()
    (root / "000.png").rename(root / "b" / os.fsdecode(b"caf\xe9.png"))
    project = Project(tmp_path / "p", root)
    project.run("download")
    assert inventory(project)["files"][0]["path"] == "b/caf\\udce9.png"


def bad_sources(root):
    flat = folder(root / "flat", {"notes.txt": b"x"})
    (root / "empty").mkdir()
    whole = archive(root / "whole.tar.gz", files(5)).read_bytes()
    (root / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    folder(root / "nested", {"photos.zip": b"x", "read.me": b"x"})
    return {
        root / "nowhere": "is neither a path that exists here nor one of digits, mnist,",
        "mnits": "'mnits' is neither a path that exists",
        root / "empty": "no image in it",
        flat: "no image in it",
        root / "nested": "photos.zip: not an archive that can be read",
        archive(root / "none.zip", {"notes.txt": b"x"}): "no image in it",
        archive(root / "empty.tar", {}): "no image in it",
        root / "cut.tar.gz": "cut.tar.gz: truncated or damaged archive",
        flat / "notes.txt": "notes.txt: not an archive that can be read",
        archive(
            root / "evil.zip", {**files(1), "../x.png": b"x"}
        ): "entry ../x.png points out of the archive",
        tar_with_link(root / "link.tar", "x.png", "/etc/passwd"): "link x.png to /etc/passwd points out",
        "data": "overlaps data/raw",
        "data/raw": "overlaps data/raw",
        "http://127.0.0.1:9/x.zip": "no download from http://127.0.0.1:9/x.zip",
        "nosuch://host/x.zip": "no download from nosuch://host/x.zip",
    }


@pytest.mark.slow
def test_bad_sources_are_one_line_each_and_leave_what_was_there(tmp_path):
    project = Project(tmp_path / "p", folder(tmp_path / "good", files(3)))
    project.run("download")
    before = project.tree("data")
    for source, expected in bad_sources(tmp_path).items():
        project.set(data__source=str(source))
        unreachable = str(source).startswith("http")  # that may pass: EX_TEMPFAIL tells the flow to try again
        assert expected in project.fail("download", os.EX_TEMPFAIL if unreachable else 1), source
        assert project.tree("data") == before


def test_a_second_run_at_the_same_time_is_refused(tmp_path):
    project = Project(tmp_path / "p")
    (project.path / ".runs").mkdir()
    with open(project.path / ".runs" / "download.lock", "a") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        assert "is already at it here" in project.fail("download")


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path):
    project = Project(tmp_path / "p", archive(tmp_path / "x.tar", files(40)))

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    assert "data/raw" in project.fail("download", preexec_fn=limit)
    assert project.tree("data") == {}


def test_a_file_where_the_folder_should_be(tmp_path):
    project = Project(tmp_path / "p")
    (project.path / "data").write_text("in the way")
    assert "data" in project.fail("download")


@pytest.fixture
def server(tmp_path):
    """A web server on loopback over ``tmp_path/www``; yields its address."""
    (tmp_path / "www").mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "www")
    handler.log_message = lambda *_: None
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_an_archive_by_http(tmp_path, server):
    path = archive(tmp_path / "www" / "x y.zip", files(3))
    project = Project(tmp_path / "p", f"{server}/x%20y.zip?token=secret")
    output = project.run("download")
    assert project.tree("data/raw/files") == {"x y.zip": path.read_bytes()}
    assert "secret" not in output + json.dumps(inventory(project))
    project.set(data__source=f"{server}/none.zip")
    assert f"no download from {server}/none.zip" in project.fail("download")


def test_a_folder_by_http(tmp_path, server):
    folder(tmp_path / "www" / "set", files(3, "cat/a {0}.png"))
    project = Project(tmp_path / "p", f"{server}/set/")
    project.run("download")
    assert project.tree("data/raw/files") == files(3, "cat/a {0}.png")


@pytest.fixture
def mirrors(tmp_path, server, monkeypatch):
    """MNIST's table in torchvision, with a mirror that is down before one on loopback."""
    from torchvision import datasets

    content = {name: name.encode() for name, _ in datasets.MNIST.resources}
    folder(tmp_path / "www", content)
    table = [(name, hashlib.md5(data).hexdigest()) for name, data in content.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", table)
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/", f"{server}/"])
    return content


def test_a_published_set_comes_from_the_next_mirror(tmp_path, mirrors):
    (tmp_path / "raw").mkdir()
    fetched = fetch("mnist", tmp_path / "raw", tmp_path / "elsewhere")
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == mirrors
    assert sorted(fetched.origins) == sorted(mirrors)
    assert not any("127.0.0.1" in origin for origin in fetched.origins.values())  # any mirror: same record


def test_wrong_bytes_are_refused_and_removed(tmp_path, mirrors):
    (tmp_path / "www" / "train-labels-idx1-ubyte.gz").write_bytes(b"other")
    (tmp_path / "raw").mkdir()
    with pytest.raises(UserError, match=r"mnist: no download from .*/train-labels.*give their folder"):
        fetch("mnist", tmp_path / "raw", tmp_path / "elsewhere")
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["train-images-idx3-ubyte.gz"]


@pytest.mark.slow
def test_a_server_that_falls_silent_is_given_up(tmp_path, monkeypatch):
    """It sends half of what it promised and then nothing, without closing."""
    monkeypatch.setattr("gan.download.retry.STALL_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                held.append(connection)
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

        threading.Thread(target=serve, daemon=True).start()
        (tmp_path / "raw").mkdir()
        with pytest.raises(UserError, match="no byte came for"):
            fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/x.zip", tmp_path / "raw", tmp_path / "no")
        for connection in held:
            connection.close()
