"""The environment variables of the commands that a flow starts."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from flows.system.proxies import as_set

# Set where git runs a hook, and then git and DVC look at that repository, whatever folder they are in.
GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


def environment(
    root: Path, inherited: Mapping[str, str] = os.environ, python: Path | None = None
) -> dict[str, str]:
    """Return the variables of a command: the interpreter's programs first on PATH, unbuffered output.

    ``python``: the interpreter, by default this one.
    """
    variables = {key: value for key, value in as_set(inherited).items() if key not in GIT_PLACES}
    # UTF-8 mode: in an ASCII locale DVC could not read its own configuration in a path with other letters.
    variables |= {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    # The folder as it is named: a virtual environment's interpreter may be a link out of it.
    programs = Path(python or sys.executable).absolute().parent
    variables["PATH"] = os.pathsep.join([str(programs), inherited.get("PATH", os.defpath)])
    if cache := site_cache(root, inherited):
        variables["DVC_SITE_CACHE_DIR"] = str(cache)
    return variables


def site_cache(root: Path, variables: Mapping[str, str] = os.environ) -> Path | None:
    """Return a private folder for DVC's site cache, created if needed; None if one is configured.

    DVC's default is a folder that every user can write to, and DVC unpickles what it finds there.
    """
    configured = [root / ".dvc" / name for name in ("config", "config.local")]
    if "DVC_SITE_CACHE_DIR" in variables or any(
        "site_cache_dir" in path.read_text(encoding="utf-8") for path in configured if path.exists()
    ):
        return None
    cache = root.resolve() / ".dvc" / "tmp" / "site"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache
