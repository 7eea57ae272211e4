"""Copies of the reports, validation pages and grids of the newest runs."""

import os
import shutil
from pathlib import Path

from gan import paths
from gan.files import RUNS, naming

FOLDER = RUNS / "reports"
PAGES = {  # the first that a run has made
    "report": (paths.REPORT,),
    "validation": (paths.VALIDATION_PAGE, paths.VALIDATION_RESULT),
    "samples": (paths.GRID,),
}
ADDRESS = "GANFLOW_REPORTS_URL"  # where these folders are served, if they are


def run_folder(folder: Path, branch: str) -> Path:
    """Return the folder of a run's copies, by its branch."""
    return folder / FOLDER / branch.replace("/", "-")


def keep(folder: Path, tree: Path, branch: str) -> dict[str, str]:
    """Copy the pages and the grid of a worktree's run; return the addresses of the pages."""
    target = run_folder(folder, branch)
    reports = target.parent
    with naming(target):
        target.mkdir(parents=True, exist_ok=True)
        if (tree / "reports").is_dir():
            shutil.copytree(tree / "reports", target / "reports", dirs_exist_ok=True)
        for path in (tree / "samples").glob("*.png"):
            (target / "samples").mkdir(exist_ok=True)
            shutil.copyfile(path, target / "samples" / path.name)
    addresses = {}
    for page, files in PAGES.items():
        if made := [path for path in files if (target / path).is_file()]:
            addresses[page] = _address(reports, f"{target.name}/{made[0]}")
    return addresses


def _address(reports: Path, path: str) -> str:
    base = os.environ.get(ADDRESS)
    return f"{base.rstrip('/')}/{path}" if base else (reports / path).as_uri()
