"""The reports server gives out files of the shelf, to this machine, and nothing else."""

import http.client
from pathlib import Path

import pytest

from flows.pages.report_server import serve_reports


@pytest.fixture
def port(tmp_path: Path) -> int:
    shelf = tmp_path / "shelf"
    (shelf / "run").mkdir(parents=True)
    (shelf / "run" / "index.html").write_text("<p>a report")
    (shelf / "run" / "same").symlink_to(shelf / "run" / "index.html")
    (tmp_path / "secret").write_text("secret")
    (shelf / "run" / "link").symlink_to(tmp_path / "secret")
    (shelf / "run" / "out").symlink_to(tmp_path)
    return int(serve_reports(shelf, 0).rpartition(":")[2])


def ask(port: int, path: str, host: str | None = None, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_files_by_name(port: int) -> None:
    for host in (None, f"localhost:{port}", "localhost:8080", "localhost", f"[::1]:{port}"):
        assert ask(port, "/run/index.html", host) == (200, b"<p>a report")
    assert ask(port, "/run/same") == (200, b"<p>a report")
    assert ask(port, "/run/index.html?at=1#x")[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/run",
        "/run/",
        "/run/link",
        "/run/out/",
        "/run/out/secret",
        "/../secret",
        "/%2e%2e/secret",
        "//x",
        "/no",
    ],
)
def test_nothing_else(port: int, path: str, method: str) -> None:
    status, content = ask(port, path, method=method)
    assert status == 404
    assert b"secret" not in content


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_foreign_name_is_refused(port: int, host: str) -> None:
    assert ask(port, "/run/index.html", host)[0] == 403
