"""The wheel that `pip install .` makes: it has all files, and works in an environment of its own."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, copy_project
from tests.provenance.conftest import MakeModel, make_model

__all__ = ["make_model"]  # a fixture


def done(*arguments: object, cwd: Path) -> str:
    """Run a program with nothing of this environment's Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(
        [*map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    copy_project(sources)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done(sys.executable, *build, "-w", folder / "dist", sources, cwd=folder)
    (made,) = (folder / "dist").iterdir()
    return made


def test_it_has_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    listed = ["git", "ls-files", "gan", "flows", "ganflow.py", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert packed == {name for name in tracked if (ROOT / name).is_file()}


@pytest.mark.slow
def test_it_works_in_an_environment_of_its_own(wheel: Path, make_model: MakeModel, tmp_path: Path) -> None:
    programs, uv = tmp_path / "venv" / "bin", Path(sys.executable).parent / "uv"
    done(uv, "venv", "--quiet", "--python", sys.executable, programs.parent, cwd=tmp_path)
    install = [uv, "pip", "install", "--quiet", "--python", programs / "python"]
    done(*install, "-r", ROOT / "requirements.txt", cwd=tmp_path)
    done(*install, "--no-deps", wheel, cwd=tmp_path)
    (tmp_path / "empty").mkdir()
    model = make_model()
    assert "sample" in done(programs / "ganflow", "--help", cwd=tmp_path / "empty")
    options = ["--count", "3", "--unsigned", "--no-mark", "--frames", "0", "--out", "drawn"]
    done(programs / "ganflow", "sample", "--model", model, *options, cwd=tmp_path / "empty")
    assert (tmp_path / "empty" / "drawn" / "grid.png").exists()
    probe = (
        "import gan, sys; model = gan.load(sys.argv[1]); assert model.sample(2).shape == (2, 32, 32, 3);"
        "assert 'site-packages' in gan.__file__;"
        "from gan.report import report_page; assert (report_page.TEMPLATES / 'page.html.j2').exists()"
    )
    done(programs / "python", "-c", probe, model, cwd=tmp_path / "empty")
