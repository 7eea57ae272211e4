"""The console script, installed in an environment of its own: whose code it runs."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT, command, copy_project

STAGE = """\
from pathlib import Path

import gan

Path("where.txt").write_text(gan.__file__)
"""
DVC_YAML = """\
stages:
  where:
    cmd: python -m gan.stages.where
    outs: [where.txt]
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `ganflow` in an environment where this project is installed as `make setup` does it."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    command([sys.executable, "-m", "venv", "--without-pip", str(folder)], ROOT)
    ours = Path(sysconfig.get_path("purelib"))
    theirs = folder / ours.relative_to(sys.prefix)
    (theirs / "shared.pth").write_text(f"{ours}\n")
    python = folder / "bin" / "python"
    install = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "--editable" in line)
    arguments = install.split("@")[1].replace("$(BIN)/python", str(python)).split()
    source = copy_project(tmp_path_factory.mktemp("source"))
    command(arguments, source)
    return folder / "bin"


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """Another checkout of the project, whose code differs from what is installed."""
    folder = copy_project(tmp_path / "worktree")
    options = folder / "flows" / "front_door" / "flow_options.py"
    text = options.read_text()
    assert '"""Run the stages' in text
    options.write_text(text.replace('"""Run the stages', '"""Of the worktree: run the stages', 1))
    return folder


def test_a_worktree_runs_its_code_whatever_is_installed(
    programs: Path, worktree: Path, tmp_path: Path
) -> None:
    ganflow = str(programs / "ganflow")
    assert "Of the worktree" in command([ganflow], worktree)
    assert "Of the worktree" in command([ganflow, "run", "--help"], worktree / "flows" / "repo")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    listed = command([ganflow], elsewhere)
    assert "usage: ganflow COMMAND" in listed and "Of the worktree" not in listed


@pytest.mark.slow
def test_stages_started_in_a_worktree_are_the_worktrees(programs: Path, worktree: Path) -> None:
    (worktree / "gan" / "stages" / "where.py").write_text(STAGE)
    (worktree / "dvc.yaml").write_text(DVC_YAML)
    (worktree / "dvc.lock").unlink(missing_ok=True)
    command([str(programs / "ganflow"), "run"], worktree)
    assert (worktree / "where.txt").read_text() == str(worktree / "gan" / "__init__.py")


def test_a_revision_without_the_command_says_so(programs: Path, worktree: Path) -> None:
    (worktree / "flows" / "__main__.py").unlink()
    done = subprocess.run([programs / "ganflow", "run"], cwd=worktree, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {worktree}: ") and "python -m flows." in done.stderr
