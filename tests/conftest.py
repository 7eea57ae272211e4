"""What tests share: the repository's root, real images where they are at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of real image archives, a neighbour of the repository or $GANFLOW_DATASETS."""
    folder = Path(os.environ.get("GANFLOW_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip("no folder of real image archives here; set GANFLOW_DATASETS")
    return folder
