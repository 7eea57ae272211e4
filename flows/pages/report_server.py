"""The shelf of reports over HTTP, on loopback alone: files by name, nothing else of this machine."""

import io
import os
import re
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

HOSTS = ("127.0.0.1", "localhost", "[::1]")


class OnLoopback(BaseHTTPRequestHandler):
    """Answers who asks by a name of loopback, and says nothing of it."""

    def refused(self) -> bool:
        """Refuse a request that names another host, whatever the port: that may be a forwarded one.

        A page of another site whose name was made to point here (DNS rebinding) asks by that name.
        """
        known = re.sub(r":\d*$", "", self.headers.get("Host", "")) in HOSTS
        if not known:
            self.send_error(HTTPStatus.FORBIDDEN, "This is served on loopback alone")
        return not known

    def end_headers(self) -> None:
        """Have browsers take each file for what it is called, and name no other site in requests."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class Files(OnLoopback, SimpleHTTPRequestHandler):
    """Serves the files of a folder; lists none, follows no link out of it, and says nothing."""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Answer for a file that lies in the folder, links resolved, to who asks by a name of loopback."""
        if self.refused():
            return None
        path, folder = Path(self.translate_path(self.path)).resolve(), Path(self.directory).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()


def serve_reports(directory: Path, port: int) -> str:
    """Serve a folder on loopback for as long as this process lives; return its address.

    Raises OSError where the port is taken.
    """
    directory.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Files, directory=os.fspath(directory)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
