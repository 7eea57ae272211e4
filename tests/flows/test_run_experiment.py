"""`run -S`: the same experiment as `dvc exp run -S`, without Hydra's quotes; params.yaml keeps its form."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gan.params import load
from tests.conftest import command, copy_project
from tests.data.image_files import picture

TYPED = "~/ü😀 (1), it's #1=&${x} b.zip"
IN_HYDRA = r"'~/ü😀 (1), it\'s #1=&\${x} b.zip'"
ODD = (
    "ü",
    "😀",
    "(",
    ")",
    "it's",
    "a #b",
    "#",
    "a=b",
    "a&b",
    "a, b",
    "a b",
    "$x",
    "[a]",
    "2024",
    "~",
    "a;b",
    "*",
)
LONG = "/data/" + "a rather long name of a folder/" * 5 + "photos"
# All values, not only those that the stage names.
WORK = """\
import json
from pathlib import Path
from ruamel.yaml import YAML
Path("out.json").write_text(json.dumps(YAML(typ="safe").load(Path("params.yaml"))))
"""
DVC_YAML = """\
stages:
  only:
    cmd: python work.py
    deps: [work.py]
    params: [data.source, train.seed]
    outs: [out.json]
"""
DOWNLOAD_YAML = """\
stages:
  download:
    cmd: python -m gan.stages.download
    params: [data]
    outs: [data/raw]
"""


def made(folder: Path) -> Path:
    """A project with our params and a graph of one stage, committed."""
    copy_project(folder)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "work.py").write_text(WORK)
    (folder / "dvc.lock").unlink(missing_ok=True)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command(["git", "add", "-A"], folder)
    command(["git", *who, "commit", "-qm", "one stage"], folder)
    return folder


def experiments(folder: Path) -> dict[str, str]:
    """The params and outputs that DVC records of each experiment, by its name."""
    names = command(["git", "for-each-ref", "--format=%(refname)", "refs/exps"], folder).split()
    return {
        name.rpartition("/")[2]: command(["git", "show", f"{name}:dvc.lock"], folder)
        for name in names
        if name.count("/") == 4
    }


def test_is_the_experiment_of_dvc_exp_run(tmp_path: Path) -> None:
    ours, theirs = made(tmp_path / "ours"), made(tmp_path / "theirs")
    flows = [sys.executable, "-m", "flows", "run"]
    command([*flows, "-S", f"data.source={TYPED}", "-S", "train.seed=3", "--name", "mine"], ours)
    dvc = [sys.executable, "-m", "dvc", "exp", "run", "--name", "mine"]
    command([*dvc, "-S", f"data.source={IN_HYDRA}", "-S", "train.seed=3"], theirs)
    assert (ours / "out.json").read_bytes() == (theirs / "out.json").read_bytes()
    assert experiments(ours) == experiments(theirs) and set(experiments(ours)) == {"mine"}
    params = load(ours / "params.yaml")
    assert params.data.source == TYPED and params.train.seed == 3


@pytest.mark.slow
def test_a_folder_of_any_name_is_found_from_a_shell(tmp_path: Path) -> None:
    """By its whole path, relative, and below ~; typed as a shell wants it, downloaded by the real stage."""
    folder = made(tmp_path / "project")
    (folder / "dvc.yaml").write_text(DOWNLOAD_YAML)
    home = tmp_path / "home"
    for number, name in enumerate(ODD):
        below = (home, folder / "mine", tmp_path / "anywhere")[number % 3]
        picture(number, (32, 32)).save(made_folder(below / name) / f"{number}.png")
        typed = (f"~/{name}", f"mine/{name}", str(below / name))[number % 3]
        line = f"{sys.executable} -m flows run -S {shlex.quote(f'data.source={typed}')}"
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=folder,
            env={**os.environ, "HOME": str(home)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        assert load(folder / "params.yaml").data.source == typed
        inventory = json.loads((folder / "data" / "raw" / "inventory.json").read_text())
        assert [file["path"] for file in inventory["files"]] == [f"{number}.png"], name


def made_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@pytest.mark.slow
def test_no_other_line_changes_however_long_a_value_is(tmp_path: Path) -> None:
    folder = made(tmp_path / "project")
    lines = (folder / "params.yaml").read_text().splitlines()
    for value, key in ((LONG, "data.source"), ("4", "train.seed")):
        command([sys.executable, "-m", "flows", "run", "-S", f"{key}={value}"], folder)
        now = (folder / "params.yaml").read_text().splitlines()
        differing = [new for old, new in zip(lines, now, strict=True) if old != new]
        assert len(differing) == 1 and f"{key.partition('.')[2]}: " in differing[0]
        lines = now
    params = load(folder / "params.yaml")
    assert params.data.source == LONG and params.train.seed == 4
    assert len(experiments(folder)) == 2


def test_what_params_yaml_would_not_take_is_refused_before_dvc_starts(tmp_path: Path) -> None:
    folder = made(tmp_path / "project")
    before = (folder / "params.yaml").read_bytes()
    for setting, name in (("train.sed=3", "train.sed"), ("train.seed=x", "train.seed")):
        output = command([sys.executable, "-m", "flows", "run", "-S", setting], folder, ok=False)
        assert len(output.splitlines()) == 1 and output.startswith("error: ") and name in output
    assert (folder / "params.yaml").read_bytes() == before and not (folder / ".dvc" / "tmp" / "exps").exists()
