"""The packages that a stage imports, and their pins: what a real stage does when they are others."""

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from flows.system.pinned_environments import pins
from gan.errors import UserError
from gan.runtime import packages
from tests.closure import listed_packages
from tests.conftest import ROOT, command
from tests.stages.project import ENVIRONMENT, Project

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
NAMED = {name for stage in STAGES.values() for name in listed_packages(stage)}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    yield Project(tmp_path)


def plant(folder: Path, **pinned: str) -> None:
    content = yaml.safe_dump({name.replace("_", "-"): version for name, version in pinned.items()})
    (folder / "packages.yaml").write_text(content)


def test_the_pins_are_those_of_the_requirements() -> None:
    text = (ROOT / "packages.yaml").read_text()
    locked = pins((ROOT / "requirements-dev.txt").read_text())
    assert packages.read(ROOT / "packages.yaml") == {name: locked[name] for name in sorted(NAMED)}
    run = pins((ROOT / "requirements.txt").read_text())
    assert {name: run[name] for name in NAMED - {"torch-fidelity"}}.items() <= locked.items()
    for name in NAMED:  # of one version, whatever the Python
        assert len(re.findall(rf"^{name}==", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)) == 1
    assert text == "".join(f'{name}: "{locked[name]}"\n' for name in sorted(NAMED))


def test_make_pins_writes_them(tmp_path: Path) -> None:
    for name in ("Makefile", "dvc.yaml", "requirements-dev.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    command(["make", "pins"], tmp_path)
    assert (tmp_path / "packages.yaml").read_bytes() == (ROOT / "packages.yaml").read_bytes()


def test_make_pins_reads_lists_of_several_lines(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "dvc.yaml").write_text("params: [{packages.yaml: [\n  torch,\n  scipy]}]\ndeps: [pandas]\n")
    (tmp_path / "requirements-dev.txt").write_text("pandas==1\nscipy==2\ntorch==3 ; python_version > '3'\n")
    command(["make", "pins"], tmp_path)
    assert (tmp_path / "packages.yaml").read_text() == 'scipy: "2"\ntorch: "3"\n'


def test_another_version_is_one_line_that_names_it(project: Project) -> None:
    plant(project.path, scikit_learn="0.1", requests="0.2", torch="0.3")
    output = project.fail("download")
    here = {name: metadata.version(name) for name in ("scikit-learn", "requests")}
    assert output == (
        f"error: requests: 0.2 pinned, {here['requests']} installed; "
        f"scikit-learn: 0.1 pinned, {here['scikit-learn']} installed; "
        "`make setup` installs what is pinned, or GANFLOW_UNPINNED=1 goes on with these, and the outs say so"
    )
    assert not (project.path / "data").exists()
    output = project.run("download", env={**ENVIRONMENT, "GANFLOW_UNPINNED": "1"})
    assert "download  unpinned: requests: 0.2 pinned" in output
    plant(project.path, torch="0.3", matplotlib="0.3", torch_fidelity="0.1")
    project.run("download")  # which imports none of them


@pytest.mark.slow
def test_the_outs_say_so(project: Project) -> None:
    unpinned = {**ENVIRONMENT, "GANFLOW_UNPINNED": "1"}
    plant(project.path, scipy="0.1", pandas=metadata.version("pandas"))
    project.run("download", "prepare", "validate", env=unpinned)
    result = json.loads((project.path / "reports" / "validation" / "result.json").read_text())
    assert result["unpinned"] == {"prepare": {"scipy": metadata.version("scipy")}}
    header = (project.path / "data" / "prepared" / "train.safetensors").read_bytes()[:500]
    assert b"unpinned" in header
    plant(project.path, scipy=metadata.version("scipy") + "+label")
    project.run("prepare", "validate")
    assert "unpinned" not in json.loads((project.path / "reports" / "validation" / "result.json").read_text())
    assert b"unpinned" not in (project.path / "data" / "prepared" / "train.safetensors").read_bytes()[:500]


def test_what_is_not_installed_is_left_to_its_import(tmp_path: Path) -> None:
    plant(tmp_path, no_such_package="1.0", numpy=metadata.version("numpy"))
    assert packages.differing(tmp_path / "packages.yaml") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch: 2.13\n", "torch: 2.13: not a version in quotes"),
        ("", "holds no pins"),
        ("- torch\n", "holds no pins"),
        ("a: [\n", "not a file of pins"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "packages.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        packages.read(tmp_path / "packages.yaml")
    assert message in str(caught.value)
    assert "`make pins`" in str(caught.value)


def test_what_a_source_imports(tmp_path: Path) -> None:
    files = {
        "gan/__init__.py": "",
        "gan/params.py": "import pydantic\n",
        "gan/deep.py": "def late():\n    from PIL import Image\n    import torch.nn\n",
        "gan/stages/one.py": (
            "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pydantic\n"
            "from importlib.util import find_spec\nfrom gan import deep, params\n"
            "find_spec('sklearn')\nimport pandas as pd\nimport great_expectations\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert packages.needed(tmp_path / "gan/stages/one.py", tmp_path) == {
        *("pillow", "torch", "scikit-learn", "pandas", "great-expectations"),
        *("numpy", "pyarrow"),  # below pandas
    }
