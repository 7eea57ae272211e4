"""A page that follows the runs of this checkout as they go: `ganflow watch`.

It reads files that stages write anyway, so it may be started and stopped at any time, and no run waits for
it. On loopback alone.
"""

import json
import os
import urllib.parse
from argparse import Namespace
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flows.front_door import command_table
from flows.pages import TEMPLATES, live_runs
from flows.pages.report_server import OnLoopback
from flows.repo import checkout
from flows.system.exit_status import ending
from gan.errors import UserError
from gan.files import write_json
from gan.runtime.live_record import ADDRESS

PAGE = TEMPLATES / "watch.html"
# Nothing but this page's files: no script of another origin, no frame, no request elsewhere.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self'; connect-src 'self'"
)


def main(arguments: Namespace | None = None) -> None:
    """Serve the page until Ctrl-C."""
    asked = arguments or command_table.arguments("watch")
    with ending():
        folder = checkout.project(".")
        try:
            server = ThreadingHTTPServer(("127.0.0.1", asked.port), partial(Watch, folder))
        except OSError as error:
            raise UserError(
                f"--port {asked.port}: {error.strerror}; try --port 0, which takes a free one"
            ) from None
        address = f"http://127.0.0.1:{server.server_address[1]}"
        print(f"watch     {address} (Ctrl-C ends it; the runs go on)", flush=True)
        write_json(folder / ADDRESS, {"address": address, "process": os.getpid()})
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("watch     ended", flush=True)
        finally:
            (folder / ADDRESS).unlink(missing_ok=True)
            server.server_close()


class Watch(OnLoopback):
    """Answers with the page, the state of the runs as JSON, and their pictures."""

    def __init__(self, folder: Path, *arguments: Any) -> None:
        self.folder = folder
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer who asks by a name of loopback."""
        if self.refused():
            return
        parts = [urllib.parse.unquote(part) for part in self.path.partition("?")[0].split("/")[1:]]
        if parts == [""]:
            self._answer(PAGE.read_bytes(), "text/html; charset=utf-8")
        elif parts == ["state.json"]:
            self._answer(json.dumps(live_runs.collect(self.folder)).encode(), "application/json")
        elif (path := self._picture(parts)) is not None:
            self._answer(path.read_bytes(), "image/png")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _picture(self, parts: list[str]) -> Path | None:
        if len(parts) != 3 or parts[0] != "picture":
            return None
        return live_runs.picture(self.folder, *parts[1:])

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    main()
