"""Paths and params of a checkout."""

import os
from pathlib import Path

from gan import paths
from gan.errors import UserError
from gan.files import RUNS
from gan.params import Params, load


def project(root: str) -> Path:
    """Return the folder of dvc.yaml as an absolute path. Raises UserError if there is none."""
    folder = Path(root).resolve()
    if not (folder / paths.GRAPH).exists():
        raise UserError(f"{folder}: no dvc.yaml here; run from the root of the repository")
    return folder


def params(tree: Path, revision: str) -> Params:
    """Read and check the params of a revision's worktree. Raises UserError that names the revision."""
    path = tree / paths.PARAMS
    try:
        return load(path)
    except UserError as error:
        raise UserError(str(error).replace(str(path), f"{revision}: {paths.PARAMS}")) from None


def lock_name(folder: Path, name: str) -> str:
    """Return the name to pass to gan.files.run_lock for a lock in the .runs of ``folder``."""
    return os.path.relpath(folder / RUNS / name, RUNS)
