"""The report completed by what differs between identical runs: `python -m flows.page`.

Equal runs give reports/index.html the same bytes, so the revision, the machine, time, energy and the
metrics of the run before are not in it. They are in .runs/report.html, which neither git nor DVC sees.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import before, places, usage
from flows.command_line import Parser, ending
from flows.git import Git
from flows.outcome import RESULTS
from flows.record import LOCK, Record, few, read_record
from flows.templating import fill
from gan.errors import UserError
from gan.files import RUNS, read_json, write_text
from gan.machine import MACHINE

REPORT = Path(RESULTS["report"])
METRICS = Path(RESULTS["metrics"])
COMPLETE = RUNS / "report.html"
PLACE = re.compile(r"<!-- run:.*?<!-- /run -->", re.DOTALL)
NAMES = re.compile(r'<script type="application/json" id="metric-names">(.*?)</script>', re.DOTALL)


def main() -> None:
    """Write the page and print where it is."""
    Parser(prog="python -m flows.page", description=(__doc__ or "").split("\n\n")[0]).parse_args()
    with ending():
        folder = places.project(".")
        if (found := write(folder)) is None:
            raise UserError(f"{REPORT}: none here that can be completed; `dvc repro report` writes it")
        print(
            f"  page     {found.relative_to(folder)} (the report, with revision, machine, time, run before)"
        )


def write(folder: Path) -> Path | None:
    """Write .runs/report.html and return its path; None where there is no report that has room for it.

    Raises UserError where a file that it reads is broken.
    """
    report = folder / REPORT
    page = report.read_text(encoding="utf-8") if report.is_file() else ""
    if not PLACE.search(page):
        return None
    names = NAMES.search(page)
    figures = collect(folder, json.loads(names[1]) if names else [])
    part = fill("run.html.j2", figures)
    page = PLACE.sub(lambda _: part, page, count=1)
    page = page.replace('href="validation/', 'href="../reports/validation/')
    write_text(folder / COMPLETE, page)
    return folder / COMPLETE


def collect(folder: Path, names: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the page is completed by, as far as it is known here."""
    lock = folder / LOCK
    record = read_record(lock.read_bytes(), str(lock)) if lock.is_file() else Record({})
    found: dict[str, Any] = {
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": read_json(folder / MACHINE) if (folder / MACHINE).is_file() else None,
        "stages": usage.used(folder, record),
        "before": None,
        "rows": [],
        **dict.fromkeys(("commit", "subject", "when")),
        "changed": "",
    }
    found["energy"] = any(stage.energy for stage in found["stages"])
    try:
        git = Git(folder)
    except (UserError, OSError):  # not under git, or git is not there
        return found
    if head := git.ask("log", "-1", "--format=%H%x00%s%x00%ci", "HEAD"):
        found["commit"], found["subject"], found["when"] = head.split("\0")
    status = (git.ask("status", "--porcelain", "-z", "--no-renames") or "").split("\0")
    found["changed"] = few([entry[3:] for entry in status if entry])
    if (folder / METRICS).is_file() and head:
        today = read_json(folder / METRICS)
        if last := before.last_committed(git, today):
            images = before.held_out(lock.read_text(encoding="utf-8")) if lock.is_file() else None
            found |= {"before": last, "rows": before.rows(names, today, last, images)}
    return found


if __name__ == "__main__":
    main()
