"""Throwaway DVC repositories shaped like ours, the flow as its own process, and a Prefect server."""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import ROOT
from tests.forked_commands import Forked, programs

# stage: its inputs. Two branches side by side, the longer name first as in ours.
GRAPH = {
    "prepare": [],
    "train": ["prepare"],
    "extractor": ["prepare"],
    "select": ["train", "extractor"],
    "aside": ["prepare"],
    "report": ["select", "prepare"],
}
_made: dict[str, Path] = {}  # templates of `copy_made`
OUTPUTS = {"report": "reports/index.html"} | {name: f"out/{name}" for name in GRAPH if name != "report"}


@dataclass
class Toy:
    """A small pipeline in a folder of its own, and ways to run it.

    ``forks`` is False where a test kills: DVC and what it starts are then in the command's own group.
    """

    root: Path
    home: Path
    started: list[Forked] = field(default_factory=list)
    forks: bool = True

    def environment(self, **extra: str) -> dict[str, str]:
        variables = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        python = os.pathsep.join(
            [str(ROOT), *filter(None, [extra.pop("PYTHONPATH", ""), variables.get("PYTHONPATH")])]
        )
        quiet = {"PREFECT_LOGGING_COLORS": "false", "PREFECT_HOME": str(self.home), "NO_COLOR": "1"}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        which = programs() if self.forks else {"PATH": path}
        return {**variables, **which, "PYTHONPATH": python, **quiet, **extra}

    def dvc(self, *arguments: str, **extra: str) -> str:
        environment = self.environment(**extra)
        done = subprocess.run(
            ["dvc", *arguments], cwd=self.root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str, **extra: str) -> Forked:
        """Start the flow; standard output and error come as one."""
        return self.begin("flows.pipeline", *arguments, **extra)

    def begin(self, module: str, *arguments: str, **extra: str) -> Forked:
        """Start a command and let it run."""
        process = Forked(module, arguments, self.root, self.environment(**extra))
        self.started.append(process)
        return process

    def flow(self, *arguments: str, status: int = 0, **extra: str) -> str:
        """Run the flow to its end and return what it printed."""
        process = self.start(*arguments, **extra)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == status, output
        return output

    def lock(self) -> bytes:
        return (self.root / "dvc.lock").read_bytes()

    def pid(self, stage: str) -> int:
        """Wait until the stage is at work and return its process."""
        path = self.root / "times" / f"{stage}.pid"
        wait_for(lambda: path.exists() and path.read_text() != "", 150)
        return int(path.read_text())

    def times(self, stage: str) -> tuple[float, float]:
        first, last = (self.root / "times" / stage).read_text().split()
        return float(first), float(last)

    def processes(self) -> list[psutil.Process]:
        """Every process that works in this folder."""
        processes = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self.root:
                    processes.append(process)
        return processes

    def forget(self) -> None:
        """Delete the outputs and the record, not the cache."""
        for name in ("out", "reports", "times"):
            shutil.rmtree(self.root / name)
        (self.root / "dvc.lock").unlink()


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def outcomes(output: str) -> dict[str, str]:
    """Read the summary at the end of what the flow printed."""
    names = "ran|restored|unchanged|failed|not run"
    return dict(re.findall(rf"^  (\w+) +({names})\b", output, re.MULTILINE))


def make_toy(root: Path, home: Path) -> Toy:
    """Make the pipeline, with DVC and git set up as in this repository."""
    copy_made("toy", root, _make_toy)
    return Toy(root, home)


def _make_toy(root: Path) -> None:
    shutil.copy(Path(__file__).with_name("fake_stage.py"), root)
    stages = []
    for name, needs in GRAPH.items():
        inputs = [OUTPUTS[need] for need in needs]
        command = " ".join(["python fake_stage.py text", name, OUTPUTS[name], *inputs])
        deps = "".join(f"      - {path}\n" for path in ["fake_stage.py", *inputs])
        stages.append(f"  {name}:\n    cmd: {command}\n    deps:\n{deps}    outs:\n      - {OUTPUTS[name]}\n")
    (root / "dvc.yaml").write_text("stages:\n" + "".join(stages))
    (root / ".gitignore").write_text("/out\n/reports\n/times\n/.runs\n")
    init(Toy(root, root.parent / "prefect"))


def init(toy: Toy) -> None:
    """Set up git and DVC as in this repository."""
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=toy.root, check=True)
    toy.dvc("init", "-q")
    shutil.copy(ROOT / ".dvc" / "config", toy.root / ".dvc" / "config")


def copy_made(name: str, folder: Path, make: Callable[[Path], None]) -> None:
    """Fill a new folder with what ``make`` makes: once by it, then by copying, which is much cheaper.

    Paths below the folder are those of the copy, in params and dvc.lock too. git knows no history of it.
    """
    if name not in _made:
        _made[name] = Path(tempfile.mkdtemp(prefix="ganflow-tests-"))
        atexit.register(shutil.rmtree, _made[name], ignore_errors=True)
        make(_made[name])
    template = _made[name]
    leave = shutil.ignore_patterns(".git", "tmp")
    shutil.copytree(template, folder, symlinks=True, dirs_exist_ok=True, ignore=leave)
    for path in folder.rglob("*"):
        if path.name in ("params.yaml", "params.json", "dvc.lock"):
            path.write_text(path.read_text().replace(os.fspath(template), os.fspath(folder)))
    for repository in template.rglob(".git"):
        target = folder / repository.parent.relative_to(template)
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=target, check=True)


@dataclass(frozen=True)
class Server:
    """A Prefect server process: its address, and the folder that holds its database."""

    url: str
    home: Path
