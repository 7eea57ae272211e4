"""The house rules that only a test keeps: who imports whom, and what no file may hold."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.closure import dotted, imported, parse
from tests.conftest import ROOT, committed

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
    keywords = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    return dotted(call.func) == "torch.load" and keywords.get("weights_only") is True


@pytest.mark.parametrize("path", GAN, ids=name)
def test_gan_is_plain_python(path: Path) -> None:
    # To import dvclive is to load dvc.
    assert not top_level(path) & {"prefect", "dvc", "dvclive", "subprocess", "flows", "tests"}
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            harmless = loads_tensors_only(node) or ast.unparse(node) == "exec('')"
            assert dotted(node.func) not in FORBIDDEN or harmless, f"line {node.lineno}"
            allows = [word for word in node.keywords if word.arg in ("allow_pickle", "shell")]
            assert not any(getattr(word.value, "value", True) for word in allows), f"line {node.lineno}"


@pytest.mark.parametrize("path", FLOWS, ids=name)
def test_flows_are_free_of_torch_and_thin(path: Path) -> None:
    assert not top_level(path) & {"torch", "torchvision", "numpy", "pandas", "tests"}
    of_gan = {module for module in imported(path, ROOT) if module.startswith("gan.")}
    roots = {
        "command_options",
        "errors",
        "files",
        "metric_table",
        "params",
        "paths",
        "runtime",
        "source_state",
        "templating",
        "urls",
        "xmp",
        "yaml12",
    }
    assert {module.split(".")[1] for module in of_gan} <= roots
    if path.name != "processes.py":
        assert "subprocess" not in top_level(path)
        calls = {dotted(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}
        starters = re.compile(r"os\.(system|popen|fork\w*|exec\w+|spawn\w+|posix_spawn\w*)$")
        assert not [call for call in calls if starters.match(call)]


def test_imports_point_one_way() -> None:
    for path in GAN:
        stages = {module for module in imported(path, ROOT) if module.startswith("gan.stages")}
        assert not stages, f"{name(path)} imports {', '.join(sorted(stages))}: stages meet in files"


@pytest.mark.parametrize("path", GAN + FLOWS, ids=name)
def test_a_file_can_be_read_at_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_a_folder_has_few_modules() -> None:
    modules = Counter(path.parent for path in GAN + FLOWS)
    assert {name(folder): count for folder, count in modules.items() if count > 15} == {}


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
    assert committed("params.yaml") == committed("recipes/digits.yaml")


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
            assert not (match := somewhere.search(content)), f"{name(path)}: {match!r}"
            assert here not in content, name(path)


def test_the_source_files_that_the_docs_name_exist() -> None:
    sources = [path for path in tracked_files() if path.suffix == ".py"]
    known = {name(path) for path in sources} | {path.name for path in sources}
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    named = {file for page in pages for file in re.findall(r"`([\w/]+\.py)`", page.read_text("utf-8"))}
    assert {file for file in named - known if "NAME" not in file} == set()
    table = set(re.findall(r"`(\w+\.py)`", (ROOT / "docs" / "training.md").read_text("utf-8")))
    assert {path.name for path in (ROOT / "gan" / "training").glob("[!_]*.py")} <= table


def test_a_modules_tests_are_where_its_name_says() -> None:
    """tests/x/test_y.py tests gan/x/y.py or flows/x/y.py; a file of another name tests several together."""
    named: dict[str, set[Path]] = {}
    for path in GAN + FLOWS:
        package = path.relative_to(ROOT).parent
        inside = package.relative_to(package.parts[0])
        named.setdefault(path.stem, set()).update({inside} if package.parts[0] == "gan" else {package})
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        wanted = named.get(test.stem.removeprefix("test_"), set())
        folder = test.parent.relative_to(ROOT / "tests")
        assert not wanted or folder in wanted, f"{name(test)} belongs in one of {sorted(map(str, wanted))}"


def test_extras_are_no_requirements_of_a_machine_that_only_trains() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][name] for name in ("export", "credentials", "celeba")]
    names = {re.split("[><!=]", line)[0] for lines in extras for line in lines}
    assert len(names) == 6
    pins = [
        {line.partition("==")[0] for line in (ROOT / file).read_text(encoding="utf-8").splitlines()}
        for file in ("requirements.txt", "requirements-dev.txt")
    ]
    assert names <= pins[1]
    assert not names - {"cryptography"} & pins[0]  # DVC's ssh has that one too
