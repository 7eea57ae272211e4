"""A throwaway experiment under git and DVC, recorded, and the commands that rebuild and list it."""

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.flows.harness import Toy, copy_made, init
from tests.forked_commands import Forked

MACHINE = {
    "system": "Linux x86_64",
    "processor": "one kind",
    "instructions": ["avx2"],
    "accelerator": None,
    "python": "3.11",
    "packages": {"numpy": "2.0"},
}
DVC_YAML = """\
stages:
  download:
    cmd: python fake_stage.py experiment download
    params:
      - params.json: [data.source]
    outs: [data/raw]
  train:
    cmd: python fake_stage.py experiment train
    deps: [fake_stage.py, data/raw, data/fixed]
    params:
      - params.json: [train]
    outs: [models/final.bin, models/log]
  evaluate:
    cmd: python fake_stage.py experiment evaluate
    deps: [models/final.bin, data/raw/inventory.json]
    metrics:
      - reports/metrics.json:
          cache: false
"""


@dataclass
class Experiment(Toy):
    """Download a folder of the user's, train on it (and on data added by `dvc add`), evaluate."""

    source: Path = field(default_factory=Path)
    wheels: Path = field(default_factory=Path)

    def environment(self, **extra: str) -> dict[str, str]:
        offline = {"UV_FIND_LINKS": str(self.wheels), "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}
        return super().environment(**{**offline, **extra})

    def git(self, *arguments: str, ok: bool = True) -> str:
        return git(self.root, *arguments, ok=ok)

    def params(self, **values: object) -> None:
        """Change params.json: `params(train__threads=1)`."""
        path = self.root / "params.json"
        content = json.loads(path.read_text()) if path.exists() else {"data": {}, "train": {}}
        for key, value in values.items():
            section, _, name = key.partition("__")
            content[section][name] = value
        path.write_text(json.dumps(content, indent=1))

    def commit(self, message: str) -> str:
        """Commit all that git is to keep; return the commit."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def record(self, message: str, **extra: str) -> str:
        """Run the pipeline and commit its record."""
        self.dvc("repro", "-q", **extra)
        return self.commit(message)

    def reproduce(self, *arguments: str, status: int = 0, **extra: str) -> str:
        return self.run("flows.reproduce", *arguments, status=status, cwd=None, **extra)

    def run(
        self, module: str, *arguments: str, status: int = 0, cwd: Path | None = None, **extra: str
    ) -> str:
        process = Forked(module, arguments, cwd or self.root, self.environment(**extra))
        output, _ = process.communicate(timeout=170)
        assert process.returncode == status, output
        assert "Traceback" not in output, output
        return output

    def verdict(self, commit: str) -> dict[str, Any]:
        folder = self.root / ".runs" / "reproduce" / commit
        assert (folder / "verdict.md").read_text().startswith("# ")
        return dict(json.loads((folder / "verdict.json").read_text()))

    def seen(self) -> dict[str, object]:
        """What a rebuild must not touch: files with their times, the index, refs, DVC's cache."""
        ours = [
            path for path in self.root.rglob("*") if path.is_file() and _kept(path.relative_to(self.root))
        ]
        files: dict[str, object] = {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in ours}
        return files | {"refs": self.git("for-each-ref"), "worktrees": self.git("worktree", "list")}

    def leftovers(self) -> list[str]:
        """Worktrees, locks and processes that a rebuild left behind."""
        leftovers = [
            line for line in self.git("worktree", "list", "--porcelain").splitlines() if "worktree" in line
        ]
        leftovers.remove(f"worktree {self.root}")
        leftovers += [str(path) for path in (self.root / ".git").rglob("*.lock")]
        leftovers += [str(path) for path in (self.root / ".git" / "worktrees").glob("*")]
        leftovers += [str(path) for path in (self.root / ".runs" / "worktrees").glob("*")]
        return leftovers + [str(process) for process in self.below()]

    def below(self) -> list[psutil.Process]:
        """Every process that works here or in a worktree below."""
        processes = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(self.root):
                    processes.append(process)
            except (psutil.Error, OSError):
                continue
        return processes


def _kept(path: Path) -> bool:
    name = path.as_posix()
    if name.startswith((".runs/", ".git/worktrees/", ".dvc/tmp/")):
        return False
    return not name.startswith(".git/") or name in (".git/index", ".git/HEAD", ".git/config")


def git(folder: Path, *arguments: str, ok: bool = True) -> str:
    variables = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout.strip()


def wheel(folder: Path, version: str) -> None:
    """Write a wheel of a package `toything`, so that an environment can be made without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"toything-{version}.dist-info"
    files: Mapping[str, str] = {
        "toything.py": f"__version__ = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: toything\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"toything-{version}-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def make_experiment(folder: Path, **params: object) -> Experiment:
    """Make the experiment and record it once."""
    copy_made(f"experiment {sorted(params.items())}", folder, lambda template: _make(template, params))
    experiment = _experiment(folder)
    experiment.commit("first")
    return experiment


def _experiment(folder: Path) -> Experiment:
    return Experiment(
        folder / "project", folder / "prefect", source=folder / "photos", wheels=folder / "wheels"
    )


def _make(folder: Path, params: Mapping[str, object]) -> None:
    experiment = _experiment(folder)
    root = experiment.root
    root.mkdir(parents=True)
    experiment.source.mkdir()
    for name in ("one", "two"):
        (experiment.source / f"{name}.txt").write_text(name * 3)
    for version in ("1.0", "2.0"):
        wheel(experiment.wheels, version)
    shutil.copy(Path(__file__).with_name("fake_stage.py"), root)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / ".gitignore").write_text("/.runs\n/data/raw\n/data/fixed\n/models\n")
    experiment.params(data__source=str(experiment.source), train__threads=2, train__package=False, **params)
    init(experiment)
    (root / "data" / "fixed").mkdir(parents=True)
    (root / "data" / "fixed" / "extra.txt").write_text("added by hand")
    experiment.dvc("add", "-q", "data/fixed")
    experiment.dvc("repro", "-q")
