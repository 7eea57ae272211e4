"""What is computed: files and params in, files out. Knows neither Prefect nor DVC."""

import os

__version__ = "0.1.0"  # as in pyproject.toml: the project is run from its folder, not installed

# Threads that wait for one another soon sleep instead of spinning on: where two trainings share the
# cores, as train and extractor do in a flow, spinning starves both (docs/decisions.md has figures).
# Read when torch is loaded, hence here.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
