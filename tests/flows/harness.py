"""Throwaway DVC repositories shaped like ours, the flow as its own process, and a Prefect server."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import ROOT

# stage: its inputs. Two branches side by side, the longer name first as in ours.
GRAPH = {
    "prepare": [],
    "train": ["prepare"],
    "extractor": ["prepare"],
    "select": ["train", "extractor"],
    "aside": ["prepare"],
    "report": ["select", "prepare"],
}
OUTPUTS = {"report": "reports/index.html"} | {name: f"out/{name}" for name in GRAPH if name != "report"}


@dataclass
class Toy:
    """A small pipeline in a folder of its own, and ways to run it."""

    root: Path
    home: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, **extra: str) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        own = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        python = os.pathsep.join(
            [str(ROOT), *filter(None, [extra.pop("PYTHONPATH", ""), own.get("PYTHONPATH")])]
        )
        quiet = {"PREFECT_LOGGING_COLORS": "false", "PREFECT_HOME": str(self.home), "NO_COLOR": "1"}
        return {**own, "PATH": path, "PYTHONPATH": python, **quiet, **extra}

    def dvc(self, *arguments: str, **extra: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(**extra), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start the flow; standard output and error come as one."""
        return self.begin("flows.pipeline", *arguments, **extra)

    def begin(self, module: str, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start a command and let it run."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
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
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self.root:
                    found.append(process)
        return found

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
    words = "ran|restored|unchanged|failed|not run"
    return dict(re.findall(rf"^  (\w+) +({words})\b", output, re.MULTILINE))


def make_toy(root: Path, home: Path) -> Toy:
    """Make the pipeline, with DVC and git set up as in this repository."""
    root.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("toy.py"), root)
    stages = []
    for name, needs in GRAPH.items():
        inputs = [OUTPUTS[need] for need in needs]
        command = " ".join(["python toy.py", name, OUTPUTS[name], *inputs])
        deps = "".join(f"      - {path}\n" for path in ["toy.py", *inputs])
        stages.append(f"  {name}:\n    cmd: {command}\n    deps:\n{deps}    outs:\n      - {OUTPUTS[name]}\n")
    (root / "dvc.yaml").write_text("stages:\n" + "".join(stages))
    (root / ".gitignore").write_text("/out\n/reports\n/times\n/.runs\n")
    toy = Toy(root, home)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    toy.dvc("init", "-q")
    shutil.copy(ROOT / ".dvc" / "config", root / ".dvc" / "config")
    return toy


@dataclass(frozen=True)
class Server:
    """A Prefect server process: its address, and the folder that holds its database."""

    url: str
    home: Path
