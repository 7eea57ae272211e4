"""The console script `ganflow`: runs the code of the current checkout, else what is installed.

This file is outside gan/ and flows/, so that neither is imported before the checkout is known. In a
worktree the worktree's code runs, whatever is installed.
"""

import sys
from pathlib import Path


def main() -> None:
    """Put the checkout's root first on the path, then open the front door."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if is_checkout(folder)), None)
    if root is not None:
        if not (root / "flows" / "__main__.py").is_file():
            sys.exit(f"error: {root}: this revision has no `ganflow` yet; use `python -m flows.NAME`")
        sys.path.insert(0, str(root))
    from flows.__main__ import main as front_door

    front_door()


def is_checkout(folder: Path) -> bool:
    """Say whether a folder is the root of a checkout of this project, of whatever revision."""
    return all((folder / name).is_file() for name in ("dvc.yaml", "flows/__init__.py", "gan/__init__.py"))
