"""What a model file records about its origin: params, data, versions.

It records nothing that differs between identical runs: no time, host or path. It records no git revision
either, because any other commit would change the file. `python -m flows.history --model FILE` finds the
revision by the file's hash.
"""

from collections.abc import Mapping
from importlib import metadata
from pathlib import PurePath
from typing import Any

import gan
from gan import files, paths
from gan.urls import is_address

PACKAGES = ("numpy", "safetensors", "torch")


def record(data: Mapping[str, Any], peculiar: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the params of ``data`` that were used, the inventory's SHA-256, and package versions.

    And what is ``peculiar`` to this run, by `gan.runtime.machine.peculiar`: as a rule nothing.

    The source is named without secrets in an address, and without the folders of a path, which describe
    the machine rather than the data. Raises UserError if there is no inventory.
    """
    source = files.read_json(paths.INVENTORY)["source"]
    if not is_address(source) or source.lower().startswith("file:"):
        source = PurePath(source).name
    return {
        "data": {"source": source, **data},
        "data_inventory_sha256": files.sha256_file(paths.INVENTORY),
        "packages": versions(),
        **(peculiar or {}),
    }


def versions() -> dict[str, str]:
    """Return the versions of this project and of the packages that compute, without build labels."""
    packages = {name: metadata.version(name).partition("+")[0] for name in PACKAGES}
    return {"ganflow": gan.__version__, **packages}
