"""All flows of prefect.yaml on their schedules, from one process: `python -m flows.serve`.

Needs a Prefect server. Beside the flows it serves, on loopback alone, the reports of past runs, so that
the links in Prefect open.
"""

import argparse
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prefect import serve

from flows import automations, deployments, logs, places, shelf
from flows.command_line import Parser, ending

PORT = 4201


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


def serve_reports(folder: Path, port: int) -> str:
    """Serve the shelf on loopback for as long as this process lives; return its address.

    Raises OSError where the port is taken.
    """
    place = folder / shelf.SHELF
    place.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Quiet, directory=os.fspath(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def main() -> None:
    """Serve until stopped. What runs then is stopped too, its training resumable."""
    arguments = _arguments()
    logs.shorten()
    with ending():
        folder = places.project(".")
        url = automations.check_server()
        found = deployments.read(folder)
        automations.crash_silent_runs()
        if arguments.notify:
            automations.notify(arguments.notify)
        if arguments.reports_port >= 0:
            try:
                os.environ[shelf.ADDRESS] = serve_reports(folder, arguments.reports_port)
            except OSError as error:
                error.filename = f"--reports-port {arguments.reports_port}"
                raise
            print(f"reports   {os.environ[shelf.ADDRESS]}", flush=True)
        print(f"server    {url}", flush=True)
        # Not paused on shutdown: what is missed meanwhile is made up for once (see flows.runs).
        serve(*found, limit=arguments.limit, pause_on_shutdown=False)


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m flows.serve", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--limit", type=int, default=4, help="flows that run at the same time, at most; 4")
    parser.add_argument(
        "--reports-port",
        type=int,
        default=PORT,
        metavar="N",
        help=f"of the reports; {PORT}; 0: any; -1: none",
    )
    parser.add_argument("--notify", metavar="ADDRESS", help="a webhook to post failed gates and runs to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
