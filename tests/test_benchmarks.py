"""The benchmarks start: nothing else runs them, so what they import and how they are called goes stale."""

import importlib
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.emoji import people
from tests.conftest import ROOT, command, copy_project, set_params
from tests.stages.project import TINY_PIPELINE

MODULES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("__init__", "worker")])
def test_it_imports(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


def test_the_people_of_the_emoji_font_are_all_different_and_a_missing_font_is_one_line(
    tmp_path: Path,
) -> None:
    texts = [text for _, text in people()]
    assert len(set(texts)) == len(texts) == 852
    asked = ["-m", "benchmarks.emoji", "--font", "nowhere.ttf", "--out", tmp_path / "out"]
    done = subprocess.run([sys.executable, *asked], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert done.stderr == "error: --font nowhere.ttf: no font; install fonts-noto-color-emoji\n"


@pytest.mark.slow
def test_all_that_needs_a_gpu_is_tried_on_a_cpu(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = copy_project(tmp_path_factory.mktemp("gpu") / "project")
    set_params(project, **TINY_PIPELINE)
    for stage in ("download", "prepare", "validate", "extractor"):
        command([sys.executable, "-m", f"gan.stages.{stage}"], project)
    command(["bash", "benchmarks/gpu.sh", "out"], project, anew=True, DEVICE="cpu")
    assert "status 1" not in (project / "out" / "summary.txt").read_text()
    assert not any("Traceback" in path.read_text() for path in (project / "out").glob("*.txt"))
    assert (project / "out" / "throughput-32" / "throughput.csv").exists()
    rows = pd.read_csv(project / "out" / "speedrun.csv")
    assert rows["name"].tolist() == ["speedrun", "8 channels", "residual"] and (rows["images"] >= 32).all()
    assert (project / "out" / "speedrun" / "residual.png").is_file()
    page = (project / "out" / "speedrun.md").read_text()
    assert "![residual](speedrun/residual.png)" in page and page.count("\n| ") == 4
    assert pd.read_csv(project / "out" / "recipes.csv")["recipe"].tolist() == ["digits.yaml"]


@pytest.mark.slow
def test_the_soak_runs() -> None:
    soak = "benchmarks.soak --minutes 1 --every 45 --kill 40 --settle 5"
    output = command([sys.executable, "-m", *soak.split()], ROOT)
    assert (
        "holds  recorded runs that verify: 1 of 1" in output
        or "holds  recorded runs that verify: 2 of 2" in output
    )
