"""Where things lie in a checkout."""

import os
from pathlib import Path

from gan.errors import UserError
from gan.files import RUNS
from gan.params import PARAMS_FILE, Params, load


def project(root: str) -> Path:
    """Return the folder of dvc.yaml as an absolute path. Raises UserError where there is none."""
    folder = Path(root).resolve()
    if not (folder / "dvc.yaml").exists():
        raise UserError(f"{folder}: no dvc.yaml here; run from the root of the repository")
    return folder


def params(tree: Path, revision: str) -> Params:
    """Read and check the params of a revision's worktree. Raises UserError that names the revision."""
    path = tree / PARAMS_FILE
    try:
        return load(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), f"{revision}: {PARAMS_FILE}")) from None


def lock_name(folder: Path, name: str) -> str:
    """Return what gan.files.run_lock is to be called with for a lock in ``folder``'s .runs."""
    return os.path.relpath(folder / RUNS / name, RUNS)
