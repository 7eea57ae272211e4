"""What tests share: the repository's root, real images where they are at hand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of real image archives, a neighbour of the repository or $GANFLOW_DATASETS."""
    folder = Path(os.environ.get("GANFLOW_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip("no folder of real image archives here; set GANFLOW_DATASETS")
    return folder


def copy_project(target: Path) -> Path:
    """Copy the working tree, changes included and outs left out, into a git repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "copy"]):
        command(["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments], target)
    return target


def command(arguments: list[str], cwd: Path, *, ok: bool = True, **variables: str) -> str:
    """Run a command as a user of the set-up would; return what it printed, stderr included."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(cwd / ".dvc" / "tmp" / "site"),
        "PREFECT_HOME": str(cwd / ".prefect"),
        **variables,
    }
    done = subprocess.run(
        arguments, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (done.returncode == 0) == ok, done.stdout
    return done.stdout


def set_params(folder: Path, **values: object) -> None:
    """Change params.yaml: `set_params(folder, train__max_steps=5)`."""
    yaml = YAML()
    content = yaml.load(folder / "params.yaml")
    for key, value in values.items():
        section, _, name = key.partition("__")
        content[section][name] = value
    yaml.dump(content, folder / "params.yaml")


SMALL = {
    "network__base_channels": 4,
    "train__max_steps": 20,
    "train__log_every": 5,
    "train__snapshots": 2,
    "extractor__steps": 30,
    "select__samples": 200,
    "sample__count": 200,
}
