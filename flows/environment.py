"""The environment of what a flow starts."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def environment(root: Path, own: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a command: this interpreter's programs first, lines at once."""
    found = {**own, "PYTHONUNBUFFERED": "1"}
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", os.defpath)])
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
