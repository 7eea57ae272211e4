"""The report completed by what differs between identical runs: `python -m flows.page`.

Equal runs give reports/index.html the same bytes, so the revision, the machine, time, energy and the
metrics of the run before are not in it. They are in .runs/report.html, which neither git nor DVC sees.
"""

import re
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.front_door import command_table
from flows.judge import metric_changes
from flows.judge.stage_outcomes import RESULTS
from flows.pages import TEMPLATES, stage_usage
from flows.repo import checkout, recorded_figures
from flows.repo.git import Git
from flows.repo.lock_file import LOCK, Record, few, read_record
from flows.system.exit_status import ending
from gan import paths
from gan.errors import UserError
from gan.files import read_json, write_text
from gan.runtime.machine import MACHINE
from gan.templating import fill

PLACE = re.compile(r"<!-- run:.*?<!-- /run -->", re.DOTALL)


def main(arguments: Namespace | None = None) -> None:
    """Write the page and print where it is."""
    if arguments is None:
        command_table.arguments("page")
    with ending():
        folder = checkout.project(".")
        if (page := write(folder)) is None:
            raise UserError(f"{paths.REPORT}: none here that can be completed; `dvc repro report` writes it")
        print(f"  page     {page.relative_to(folder)} (the report, with revision, machine, time, run before)")


def write(folder: Path) -> Path | None:
    """Write .runs/report.html and return its path; None where there is no report that has room for it.

    Raises UserError where a file that it reads is broken.
    """
    report = folder / paths.REPORT
    page = report.read_text(encoding="utf-8") if report.is_file() else ""
    if not PLACE.search(page):
        return None
    section = fill(TEMPLATES / "run.html.j2", collect(folder))
    page = PLACE.sub(lambda _: section, page, count=1)
    page = page.replace('href="validation/', 'href="../reports/validation/')
    write_text(folder / RESULTS["page"], page)
    return folder / RESULTS["page"]


def collect(folder: Path) -> dict[str, Any]:
    """Return what the page is completed by, as far as it is known here."""
    lock = folder / LOCK
    record = read_record(lock.read_bytes(), str(lock)) if lock.is_file() else Record({})
    figures: dict[str, Any] = {
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": read_json(folder / MACHINE) if (folder / MACHINE).is_file() else None,
        "stages": stage_usage.used(folder, record),
        "before": None,
        "rows": [],
        **dict.fromkeys(("commit", "subject", "when")),
        "changed": "",
    }
    figures["energy"] = any(stage.energy for stage in figures["stages"])
    try:
        git = Git(folder)
    except (UserError, OSError):  # not under git, or git is not there
        return figures
    if head := git.ask("log", "-1", "--format=%H%x00%s%x00%ci", "HEAD"):
        figures["commit"], figures["subject"], figures["when"] = head.split("\0")
    status = (git.ask("status", "--porcelain", "-z", "--no-renames") or "").split("\0")
    figures["changed"] = few([entry[3:] for entry in status if entry])
    if (measured := recorded_figures.in_folder(folder)) and head:
        today = read_json(measured)
        if last := metric_changes.last_committed(git, today):
            images = metric_changes.held_out(lock.read_text(encoding="utf-8")) if lock.is_file() else None
            figures |= {"before": last, "rows": metric_changes.rows(today, last, images)}
    return figures


if __name__ == "__main__":
    main()
