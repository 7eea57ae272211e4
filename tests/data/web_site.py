"""A web server on loopback that knows ranges, and does on request what servers do on bad days."""

import hashlib
import http.server
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass
class Site:
    """Files by path. Each bad day in ``days`` befalls one request; then all is well."""

    files: dict[str, bytes]
    days: list[dict[str, object]] = field(default_factory=list)  # keys: see `answer`
    ranges: bool = True
    version: str = "ETag"  # "ETag", "weak", "Last-Modified" or ""
    seconds: float = 0.0  # between two pieces
    piece: int = 1 << 16
    users: str = ""  # what an Authorization header must be
    asked: list[dict[str, str]] = field(default_factory=list)  # headers of each request, and its path
    url: str = ""

    def versions(self, content: bytes) -> dict[str, str]:
        tag = hashlib.md5(content).hexdigest()[:8]
        if self.version == "Last-Modified":
            return {"Last-Modified": f"Thu, 01 Jan 2026 00:00:{int(tag, 16) % 60:02d} GMT"}
        return (
            {"ETag": f'"{tag}"'} if self.version == "ETag" else {"ETag": f'W/"{tag}"'} if self.version else {}
        )

    def ranges_asked(self) -> list[str | None]:
        return [asked.get("Range") for asked in self.asked]


SSH = b"SSH-2.0-OpenSSH_9.2\r\n"


@contextmanager
def saying(*answers: bytes) -> Iterator[str]:
    """Answer one caller with each of these bytes, in turn, whatever was asked; yields the address."""

    def answer_all() -> None:
        for content in answers:
            line, _ = listener.accept()
            with line:
                line.recv(1 << 16)
                line.sendall(content)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_all, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append({**dict(self.headers), "path": self.path})
            answer(self, site)

        def do_HEAD(self) -> None:
            site.asked.append({**dict(self.headers), "path": self.path, "method": "HEAD"})
            answer(self, site)

        def log_message(self, *_: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    site.url = f"http://127.0.0.1:{httpd.server_port}"
    try:
        yield site
    finally:
        httpd.shutdown()
        httpd.server_close()


def answer(request: http.server.BaseHTTPRequestHandler, site: Site) -> None:
    """Send a file; a bad day's keys: cut (bytes sent), stall, status, headers, length (as announced)."""
    day = site.days.pop(0) if site.days else {}
    content = site.files.get(request.path.partition("?")[0].lstrip("/"))
    status = day.get("status") or (404 if content is None else 200)
    if site.users and request.headers.get("Authorization") != site.users:
        status = 401
    if status != 200:
        content = b"no"
    assert content is not None
    headers: dict[str, str] = {}
    start = 0
    if status == 200:
        headers |= site.versions(content)
        start = wanted_start(request, site, headers)
        if start >= len(content) > 0:
            headers["Content-Range"] = f"bytes */{len(content)}"
            status, start, content = 416, 0, b""
        elif start:
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    body = content[start:]
    headers["Content-Length"] = str(day.get("length", len(body)))
    headers |= day.get("headers", {})  # type: ignore[arg-type]
    request.send_response(HTTPStatus(int(str(status))))
    for name, value in headers.items():
        if value:
            request.send_header(name, value)
    request.end_headers()
    if request.command == "HEAD":
        return
    cut = int(str(day.get("cut", len(body))))
    if "stall" in day:  # nothing after this byte of the file, until the client goes away
        cut = max(0, int(str(day["stall"])) - start)
    try:
        for offset in range(0, cut, site.piece):
            request.wfile.write(body[offset : min(offset + site.piece, cut)])
            time.sleep(site.seconds)
        if "stall" in day:
            request.connection.recv(1)
    except OSError:  # the client went away
        return
    if cut < len(body):
        request.close_connection = True


def wanted_start(request: http.server.BaseHTTPRequestHandler, site: Site, versions: dict[str, str]) -> int:
    match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    condition = request.headers.get("If-Range")
    if not site.ranges or not match or (condition and condition not in versions.values()):
        return 0
    return int(match[1])
