"""All flows of prefect.yaml on their schedules, from one process: `python -m flows.serve`.

Needs a Prefect server. Beside the flows it serves, on loopback alone, the reports of past runs, so that
the links in Prefect open.
"""

import asyncio
import os
import signal
import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect.runner import Runner

from flows import automations
from flows.front_door import command_table
from flows.orchestration import deployments
from flows.orchestration.server import configured
from flows.pages import kept_reports
from flows.pages.report_server import serve_reports
from flows.repo import checkout
from flows.system import logs
from flows.system.exit_status import ending

GRACE = 40.0  # seconds that runs have to end after SIGTERM


class GentleRunner(Runner):
    """Has the runs that are under way end by themselves on SIGTERM; Prefect's own kills them at once.

    So a training writes its state, and a run says how it ended.
    """

    def handle_sigterm(self, *arguments: Any, **keywords: Any) -> None:
        """Pass SIGTERM on, wait, then end."""
        pids = _children()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while any(map(_lives, pids)) and time.monotonic() < deadline:
            time.sleep(0.1)
        super().handle_sigterm(*arguments, **keywords)


def _children() -> list[int]:
    """Return the processes that this one has started, where the system tells (Linux)."""
    texts = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return [int(word) for text in texts for word in text.split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main(arguments: Namespace | None = None) -> None:
    """Serve until stopped. What runs then is stopped too, its training resumable."""
    asked = arguments or command_table.arguments("serve")
    logs.shorten()
    with ending():
        folder = checkout.project(".")
        url = configured()
        served = deployments.read(folder)
        automations.crash_silent_runs(asked.silent)
        if asked.notify:
            automations.notify(asked.notify)
        if asked.reports_port >= 0:
            try:
                reports_folder = folder / kept_reports.FOLDER
                os.environ[kept_reports.ADDRESS] = serve_reports(reports_folder, asked.reports_port)
            except OSError as error:
                error.filename = f"--reports-port {asked.reports_port}"
                raise
            print(f"reports   {os.environ[kept_reports.ADDRESS]}", flush=True)
        # Not paused on shutdown: that would end as well what somebody has paused in the browser.
        runner = GentleRunner(pause_on_shutdown=False, limit=asked.limit)
        for deployment in served:
            runner.add_deployment(deployment)
        names = ", ".join(f"{deployment.flow_name}/{deployment.name}" for deployment in served)
        print(f"server    {url}\nserved    {names}", flush=True)
        asyncio.run(runner.start())


if __name__ == "__main__":
    main()
