"""docs/notebook.ipynb, executed by a real kernel on the default model; what it shows is what it says."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, command, copy_project

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with the default outs: those made here if they are, else made now."""
    copy = copy_project(tmp_path_factory.mktemp("notebook") / "copy")
    if (ROOT / ".dvc" / "cache").is_dir():
        shutil.copytree(ROOT / ".dvc" / "cache", copy / ".dvc" / "cache", dirs_exist_ok=True)
    command(["dvc", "repro", "-q"], copy)
    return copy


@pytest.mark.slow
def test_it_runs_and_shows_what_is_committed(checkout: Path) -> None:
    committed = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(committed)
    executed = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(checkout / "docs")}}
    NotebookClient(executed, timeout=300, kernel_name="python3", resources=resources).execute()
    assert shown(executed) == shown(committed)
    pictures = [
        o for cell in executed.cells for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})
    ]
    assert len(pictures) == 5


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """Return every text and picture that the cells gave."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = [output["text"] for output in outputs if output["output_type"] == "stream"]
    return printed + [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
