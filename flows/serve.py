"""All flows of prefect.yaml on their schedules, from one process: `python -m flows.serve`.

Needs a Prefect server. Beside the flows it serves, on loopback alone, the reports of past runs, so that
the links in Prefect open.
"""

import argparse
import asyncio
import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prefect.runner import Runner

from flows import automations, deployments, logs, places, shelf
from flows.command_line import Parser, ending
from flows.server import configured

PORT = 4201
GRACE = 40.0  # seconds that runs have to end after SIGTERM


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class GentleRunner(Runner):
    """Has the runs that are under way end by themselves on SIGTERM; Prefect's own kills them at once.

    So a training writes its state, and a run says how it ended.
    """

    def handle_sigterm(self, *arguments: Any, **words: Any) -> None:
        """Pass SIGTERM on, wait, then end."""
        pids = _children()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while any(map(_lives, pids)) and time.monotonic() < deadline:
            time.sleep(0.1)
        super().handle_sigterm(*arguments, **words)


def _children() -> list[int]:
    """Return the processes that this one has started, where the system tells (Linux)."""
    texts = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return [int(word) for text in texts for word in text.split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
        url = configured()
        found = deployments.read(folder)
        automations.crash_silent_runs(arguments.silent)
        if arguments.notify:
            automations.notify(arguments.notify)
        if arguments.reports_port >= 0:
            try:
                os.environ[shelf.ADDRESS] = serve_reports(folder, arguments.reports_port)
            except OSError as error:
                error.filename = f"--reports-port {arguments.reports_port}"
                raise
            print(f"reports   {os.environ[shelf.ADDRESS]}", flush=True)
        # Not paused on shutdown: that would end as well what somebody has paused in the browser.
        runner = GentleRunner(pause_on_shutdown=False, limit=arguments.limit)
        for deployment in found:
            runner.add_deployment(deployment)
        names = ", ".join(f"{deployment.flow_name}/{deployment.name}" for deployment in found)
        print(f"server    {url}\nserved    {names}", flush=True)
        asyncio.run(runner.start())


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
    automations.options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
