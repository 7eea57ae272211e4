"""A folder with a params.yaml, in which tests run the stages' real commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, set_params

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


class Project:
    """The folder, its params, its commands."""

    def __init__(self, path: Path, source: object = "digits", **values: object) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "recipes" / "digits.yaml", path / "params.yaml")
        self.set(data__source=str(source), **values)

    def set(self, **values: object) -> None:
        set_params(self.path, **values)

    def start(self, stage: str, **options: object) -> subprocess.Popen:
        command = [sys.executable, "-m", f"gan.stages.{stage}"]
        options = {"env": ENVIRONMENT, **options}
        return subprocess.Popen(command, cwd=self.path, stderr=subprocess.PIPE, text=True, **options)

    def run(self, *stages: str, **options: object) -> str:
        """Run stages that must succeed; return what they said."""
        said = ""
        for stage in stages:
            process = self.start(stage, **options)
            text = process.communicate(timeout=120)[1]
            assert process.returncode == 0, text
            said += text
        return said

    def fail(self, stage: str, status: int = 1, **options: object) -> str:
        """Run a stage that must fail as users are promised: by its status, and return its one error line."""
        process = self.start(stage, **options)
        said = process.communicate(timeout=120)[1]
        assert process.returncode == status, said
        assert "Traceback" not in said, said
        lines = [line for line in said.splitlines() if line.startswith("error: ")]
        assert lines == said.splitlines()[-1:], said
        return lines[0]

    def tree(self, folder: str) -> dict[str, bytes]:
        """Return every file under a folder, hidden ones too."""
        root = self.path / folder
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    def leftovers(self) -> list[str]:
        """Return files and folders under data/ that a stage should have cleared away."""
        return [str(path) for path in (self.path / "data").rglob("*.tmp*")]
