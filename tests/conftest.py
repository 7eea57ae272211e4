"""What tests share: the repository's root, real images where they are at hand."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.forked_commands import programs
from tests.missing_programs import skip_lines

ROOT = Path(__file__).resolve().parent.parent
DEFAULTS = ROOT / "recipes" / "digits.yaml"  # params.yaml is the user's: `dvc exp run -S` changes it
# Settings of `train` to which a test adds what it is about, whatever the default recipe has: Goodfellow's
# objective, no penalty, no noise. The shift is that of tests/training/golden.csv.
UNPENALISED = {
    "objective": "non_saturating",
    "r1_gamma": 0.0,
    "r2_gamma": 0.0,
    "penalty_every": 1,
    "instance_noise": 0.0,
    "augment_shift": 3,
}

# As gan.devices.prepare does, before any test computes; without torch, which most tests do not need.
os.environ |= {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
# As gan/__init__.py does: read when torch is loaded, which a test may do before it imports gan.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# A shell starts what it runs by `&` deaf to Ctrl-C, and every process below inherits that. Tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def all_cores() -> Iterator[None]:
    """Give the process its cores back after a test: a stage that ran in it may have kept it to one."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    yield
    if cores is not None and os.sched_getaffinity(0) != cores:
        os.sched_setaffinity(0, cores)


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of real image archives, a neighbour of the repository or $GANFLOW_DATASETS."""
    folder = Path(os.environ.get("GANFLOW_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip("no folder of real image archives here; set GANFLOW_DATASETS")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: those with slow tests, then those with many.

    Begun last, one of them would leave a worker waiting.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    tests = Counter(item.path for item in items)
    # A stable sort: a file's tests stay together.
    items.sort(key=lambda item: (-slow[item.path], -tests[item.path]))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in a line what was skipped for want of a program, and how to install it."""
    reports = terminalreporter.stats.get("skipped", ())
    for line in skip_lines(report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple)):
        terminalreporter.write_line(line, yellow=True)


def committed(name: str) -> bytes:
    """Return a file as git has it at HEAD: one's own runs, of other params, say, have no part in it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    show = ["git", "show", f"HEAD:{name}"]
    return subprocess.run(show, cwd=ROOT, capture_output=True, check=True).stdout


def copy_project(target: Path) -> Path:
    """Copy the working tree, changes included and outs left out, into a git repository of its own.

    With the default params, whatever the working tree has been told.
    """
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
    shutil.copy(DEFAULTS, target / "params.yaml")
    identity = (["config", "user.name", "test"], ["config", "user.email", "test@localhost"])
    for arguments in (["init", "-q"], *identity, ["add", "-A"], ["commit", "-qm", "copy"]):
        command(["git", *arguments], target)
    return target


def command(arguments: list[str], cwd: Path, *, ok: bool = True, anew: bool = False, **variables: str) -> str:
    """Run a command as a user of the set-up would; return what it printed, stderr included.

    ``anew``: nothing that it runs is forked from a process that has imported what is heavy.
    """
    if arguments[0] == sys.executable and not anew:
        arguments = ["python", *arguments[1:]]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        **({"PATH": path} if anew else programs()),
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
    yaml.width = 10_000  # a long path stays on its line
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
# A gate that lets a small training through if it is not worse than the champion; else its exit status.
LENIENT = {"gate__min_precision": 0.0, "gate__min_recall": 0.0, "gate__max_label_divergence": 1.0}
REFUSED = 3
