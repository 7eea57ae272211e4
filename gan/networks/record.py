"""What a model file says of its making besides its network: params, data, versions.

Nothing that differs between identical runs: no time, host or path, and no git revision either, which
would change the file whenever any other file did. `python -m flows.history --model FILE` finds the
revision, by the file's hash.
"""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import gan
from gan import files

INVENTORY = Path("data/raw/inventory.json")
PACKAGES = ("numpy", "safetensors", "torch")


def record(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of ``data`` that were used, the inventory's SHA-256, and package versions.

    The source is named without what may be secret in an address, and without the folders of a path, which
    say more of a machine than of the data. Raises UserError where there is no inventory.
    """
    source = files.read_json(INVENTORY)["source"]
    if "://" not in source or source.lower().startswith("file:"):
        source = PurePath(source).name
    return {
        "data": {"source": source, **data},
        "data_inventory_sha256": files.sha256_file(INVENTORY),
        "packages": versions(),
    }


def versions() -> dict[str, str]:
    """Return this project's version and those of the packages that compute, without the build's label."""
    found = {name: metadata.version(name).partition("+")[0] for name in PACKAGES}
    return {"ganflow": gan.__version__, **found}
