"""What people open after a run: its report, the validation, the grid; those of the newest runs are kept."""

import os
import shutil
from pathlib import Path

from gan.files import RUNS, naming

SHELF = RUNS / "reports"
KEPT = 100  # runs
PAGES = {  # the first that a run has made
    "report": ("reports/index.html",),
    "validation": ("reports/validation/index.html", "reports/validation/result.json"),
    "samples": ("samples/grid.png",),
}
ADDRESS = "GANFLOW_REPORTS_URL"  # where the shelf is served, if it is


def place(folder: Path, branch: str) -> Path:
    """Return where what people look at of a run is kept, by its branch."""
    return folder / SHELF / branch.replace("/", "-")


def keep(folder: Path, tree: Path, branch: str) -> dict[str, str]:
    """Copy what people look at of a worktree's run to the shelf; return the pages' addresses."""
    target = place(folder, branch)
    shelf = target.parent
    with naming(target):
        target.mkdir(parents=True, exist_ok=True)
        if (tree / "reports").is_dir():
            shutil.copytree(tree / "reports", target / "reports", dirs_exist_ok=True)
        for path in (tree / "samples").glob("*.png"):
            (target / "samples").mkdir(exist_ok=True)
            shutil.copyfile(path, target / "samples" / path.name)
        for old in sorted(path for path in shelf.iterdir() if path.is_dir())[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    found = {}
    for page, paths in PAGES.items():
        if made := [path for path in paths if (target / path).is_file()]:
            found[page] = _address(shelf, f"{target.name}/{made[0]}")
    return found


def _address(shelf: Path, path: str) -> str:
    base = os.environ.get(ADDRESS)
    return f"{base.rstrip('/')}/{path}" if base else (shelf / path).as_uri()
