"""The environment variables of what a flow starts."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

# Set where git runs a hook, and then git and DVC look at that repository, whatever folder they are in.
GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


def environment(
    root: Path, own: Mapping[str, str] = os.environ, python: Path | None = None
) -> dict[str, str]:
    """Return the variables of a command: the programs of an interpreter first, lines at once.

    ``python`` is this one unless another is named.
    """
    found = {key: value for key, value in own.items() if key not in GIT_PLACES} | {"PYTHONUNBUFFERED": "1"}
    # The folder as it is named: a virtual environment's interpreter may be a link out of it.
    programs = Path(python or sys.executable).absolute().parent
    found["PATH"] = os.pathsep.join([str(programs), own.get("PATH", os.defpath)])
    if cache := site_cache(root, own):
        found["DVC_SITE_CACHE_DIR"] = str(cache)
    return found


def site_cache(root: Path, own: Mapping[str, str] = os.environ) -> Path | None:
    """Return (and make) a private folder for DVC's site cache; None where one is configured.

    DVC's default is a folder that every user can write to, and DVC unpickles what it finds there.
    """
    configured = [root / ".dvc" / name for name in ("config", "config.local")]
    if "DVC_SITE_CACHE_DIR" in own or any(
        "site_cache_dir" in path.read_text(encoding="utf-8") for path in configured if path.exists()
    ):
        return None
    cache = root.resolve() / ".dvc" / "tmp" / "site"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache
