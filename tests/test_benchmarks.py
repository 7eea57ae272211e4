"""The benchmarks start: nothing else runs them, so what they import and how they are called goes stale."""

import importlib
import sys

import pytest

from tests.conftest import ROOT, command

MODULES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
TINY = "--base-channels 4 --batch 8 --image-size 32 --device cpu"


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("__init__", "worker")])
def test_it_imports(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["throughput --rounds 1 --steps 2 --out {out}", "roofline"])
def test_it_runs(arguments: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out")
    argv = [*arguments.format(out=out).split(), *TINY.split()]
    output = command([sys.executable, "-m", f"benchmarks.{argv[0]}", *argv[1:]], ROOT)
    assert "Traceback" not in output and ("roofline" in arguments or (out / "throughput.csv").exists())


@pytest.mark.slow
def test_the_soak_runs() -> None:
    soak = "benchmarks.soak --minutes 1 --every 45 --kill 40 --settle 5"
    output = command([sys.executable, "-m", *soak.split()], ROOT)
    assert (
        "holds  recorded runs that verify: 1 of 1" in output
        or "holds  recorded runs that verify: 2 of 2" in output
    )
