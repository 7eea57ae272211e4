"""kill -9 while a slow server sends: the next run is right and goes on; nothing is ever half-written."""

import signal
import time

import pytest

from tests.data.image_files import archive, encoded, files, folder, picture
from tests.data.web_site import Site, serving
from tests.flows.harness import wait_for
from tests.stages.project import Project


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A zip of some 300 kB."""
    images = {f"{seed}.png": encoded(picture(seed, (160, 128))) for seed in range(12)}
    return archive(tmp_path_factory.mktemp("zip") / "x.zip", images).read_bytes()


def come(project: Project) -> int:
    return sum(path.stat().st_size for path in (project.path / ".runs/downloads").rglob("x.zip"))


@pytest.mark.slow
def test_killed_at_several_moments(tmp_path, content):
    """Before the first byte, on the way three times, and at the last bytes; old data stay until the end."""
    project = Project(tmp_path / "p", folder(tmp_path / "old", files(3)))
    project.run("download")
    before = project.tree("data")
    with serving(Site({"x.zip": content}, piece=2000)) as site:
        project.set(data__source=f"{site.url}/x.zip")
        size = len(content)
        for sent in (0, 2000, size // 3, 2 * size // 3, size - 1):
            asked = len(site.asked)
            site.days.append({"stall": sent})
            process = project.start("download")
            wait_for(lambda a=asked, n=sent: len(site.asked) > a and come(project) == n, 30)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert {path: data for path, data in project.tree("data").items() if ".tmp" not in path} == before
        project.run("download")
    assert project.tree("data/raw/files") == {"x.zip": content}
    assert project.leftovers() == []
    assert not (project.path / ".runs" / "downloads").exists()
    starts = [int(range_[6:-1]) if range_ else 0 for range_ in site.ranges_asked()]
    # What had come was not asked for again.
    assert starts == [0, 0, 2000, size // 3, 2 * size // 3, size - 1]


@pytest.mark.slow
def test_killed_in_the_middle_of_a_folder(tmp_path):
    from urllib.parse import quote

    images = files(30)
    links = "".join(f'<a href="{quote(name)}">{name}</a>' for name in images).encode()
    pages = {"set/": links} | {f"set/{name}": data for name, data in images.items()}
    with serving(Site(pages, days=[{}] * 15 + [{"stall": 1}])) as site:
        project = Project(tmp_path / "p", f"{site.url}/set/")
        process = project.start("download")
        wait_for(lambda: len(site.asked) > 15, 30)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (project.path / "data" / "raw").exists()
        project.run("download")
    assert project.tree("data/raw/files") == images
    assert project.leftovers() == []


def test_a_stop_in_order_keeps_what_has_come(tmp_path, content):
    with serving(Site({"x.zip": content}, seconds=0.01, piece=2000)) as site:
        project = Project(tmp_path / "p", f"{site.url}/x.zip")
        process = project.start("download")
        wait_for(lambda: come(project) > 50_000, 30)
        process.send_signal(signal.SIGTERM)
        assert "download: interrupted" in process.communicate()[1]
        assert process.returncode == 130
        assert project.tree("data") == {}
        had, site.seconds = come(project), 0
        project.run("download")
        assert site.ranges_asked() == [None, f"bytes={had}-"]
    assert project.tree("data/raw/files") == {"x.zip": content}


@pytest.mark.slow
def test_what_came_of_another_source_is_removed(tmp_path, content):
    with serving(Site({"x.zip": content}, days=[{"cut": 1000}] + [{"cut": 0}] * 3)) as site:
        project = Project(tmp_path / "p", f"{site.url}/x.zip")
        began = time.monotonic()
        assert "no download from" in project.fail("download", 75)
        assert time.monotonic() - began > 1.5  # half of 1 s and of 2 s at least, between the attempts
        assert come(project) == 1000
        project.set(data__source=f"{site.url}/none.zip")
        project.fail("download")
        assert come(project) == 0
