"""The house rules that only a test keeps: who imports whom, and what no file may hold."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.closure import dotted, imported, parse
from tests.conftest import ROOT

GAN = sorted((ROOT / "gan").rglob("*.py"))
FLOWS = sorted((ROOT / "flows").rglob("*.py"))
FORBIDDEN = {
    "eval",
    "exec",
    "__import__",
    "compile",
    "os.system",
    "os.popen",
    "torch.load",
    "importlib.import_module",
}
FORBIDDEN |= {"pickle.load", "pickle.loads", "pandas.read_pickle", "pd.read_pickle"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def top_level(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported(path, ROOT)}


def loads_tensors_only(call: ast.Call) -> bool:
    """Say whether a call is `torch.load` told, in so many words, to execute nothing."""
    told = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    return dotted(call.func) == "torch.load" and told.get("weights_only") is True


@pytest.mark.parametrize("path", GAN, ids=name)
def test_gan_is_plain_python(path: Path) -> None:
    assert not top_level(path) & {"prefect", "dvc", "subprocess", "flows", "tests"}
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            assert dotted(node.func) not in FORBIDDEN or loads_tensors_only(node), f"line {node.lineno}"
            allows = [word for word in node.keywords if word.arg in ("allow_pickle", "shell")]
            assert not any(getattr(word.value, "value", True) for word in allows), f"line {node.lineno}"


@pytest.mark.parametrize("path", FLOWS, ids=name)
def test_flows_are_free_of_torch_and_thin(path: Path) -> None:
    assert not top_level(path) & {"torch", "torchvision", "numpy", "pandas", "tests"}
    of_gan = {module for module in imported(path, ROOT) if module.startswith("gan.")}
    rooms = {"gan.params", "gan.files", "gan.errors", "gan.machine"}
    assert all(".".join(module.split(".")[:2]) in rooms for module in of_gan), of_gan
    if path.name != "commands.py":
        assert "subprocess" not in top_level(path)
        calls = {dotted(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}
        starters = re.compile(r"os\.(system|popen|fork\w*|exec\w+|spawn\w+|posix_spawn\w*)$")
        assert not [call for call in calls if starters.match(call)]


def test_imports_point_one_way() -> None:
    for path in GAN:
        stages = {module for module in imported(path, ROOT) if module.startswith("gan.stages")}
        assert not stages, f"{name(path)} imports {', '.join(sorted(stages))}: stages meet in files"


def test_flows_import_without_torch() -> None:
    names = (
        "page",
        "pipeline",
        "reproduce",
        "history",
        "verify",
        "retrain",
        "promote",
        "sweep",
        "serve",
        "automations",
    )
    modules = ", ".join(f"flows.{name}" for name in names)
    program = f"import sys, {modules}; print(sorted({{'torch', 'torchvision'}} & set(sys.modules)))"
    environment = {**os.environ, "PREFECT_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_default_params_are_the_digits_recipe() -> None:
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "recipes" / "digits.yaml").read_bytes()


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=name)
def test_requirements_are_pins_with_hashes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    for pin in text.replace("\\\n", " ").splitlines():
        if pin.strip() and not pin.startswith("#"):
            assert re.match(r"[a-z0-9._-]+==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+$", pin), pin[:100]


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / file for file in done.stdout.split("\0") if file]


def test_no_tracked_file_knows_this_machine() -> None:
    somewhere = re.compile(rb"/(?:home|Users)/[A-Za-z0-9_.-]+/|/roo[t]/[A-Za-z0-9_.-]")
    here = os.fsencode(ROOT) + b"/"
    for path in tracked_files():
        if path.is_file() and path != Path(__file__):
            content = path.read_bytes()
            assert not (found := somewhere.search(content)), f"{name(path)}: {found!r}"
            assert here not in content, name(path)
