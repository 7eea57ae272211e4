"""What is computed: files and params in, files out. Knows neither Prefect nor DVC."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan.api.pictures import grid as grid
    from gan.api.pictures import to_pil as to_pil
    from gan.api.trained_model import TrainedModel as TrainedModel
    from gan.api.trained_model import load as load

__version__ = "0.1.0"  # as in pyproject.toml: the project is run from its folder, not installed

# Threads that wait for one another soon sleep instead of spinning on: where two trainings share the
# cores, as train and extractor do in a flow, spinning starves both (docs/decisions.md has figures).
# Read when torch is loaded, hence here.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


_API = {"load": "trained_model", "TrainedModel": "trained_model", "grid": "pictures", "to_pil": "pictures"}


def __getattr__(name: str) -> Any:
    """Import the Python API when it is asked for: stages do not need it, and flows know no torch."""
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.api.{_API[name]}"), name)
