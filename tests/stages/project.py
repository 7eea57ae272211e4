"""A folder with a params.yaml, in which tests run the stages' real commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import LENIENT, ROOT, SMALL, set_params
from tests.forked_commands import Forked

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


# A training whose steps take milliseconds.
TINY_TRAINING: dict[str, object] = {
    "network__base_channels": 4,
    "network__latent_dim": 8,
    "train__batch_size": 8,
    "train__device": "cpu",
}
# A pipeline of which most is starting its stages. Its images are noise.
TINY_PIPELINE: dict[str, object] = {
    **SMALL,
    **LENIENT,
    **TINY_TRAINING,
    "train__max_steps": 8,
    "train__log_every": 4,
    "extractor__batch_size": 16,
    "select__samples": 32,
    "sample__count": 64,
    "sample__grid_size": 4,
    "sample__frames": 4,
    "evaluate__max_images": 64,
}


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
        output = ""
        for stage in stages:
            status, text = self._ended(stage, options)
            assert status == 0, text
            output += text
        return output

    def fail(self, stage: str, status: int = 1, **options: object) -> str:
        """Run a stage that must fail as users are promised: by its status, and return its one error line."""
        ended, output = self._ended(stage, options)
        assert ended == status, output
        assert "Traceback" not in output, output
        lines = [line for line in output.splitlines() if line.startswith("error: ")]
        assert lines == output.splitlines()[-1:], output
        return lines[0]

    def _ended(self, stage: str, options: dict[str, object]) -> tuple[int, str]:
        """Run a stage to its end; return its status and what it said."""
        if options:
            process = self.start(stage, **options)
            output = process.communicate(timeout=120)[1]
            return process.returncode, output
        forked = Forked(f"gan.stages.{stage}", [], self.path, ENVIRONMENT)
        output, _ = forked.communicate(timeout=120)
        return forked.wait(), output

    def tree(self, folder: str) -> dict[str, bytes]:
        """Return every file under a folder, hidden ones too."""
        root = self.path / folder
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}

    def leftovers(self) -> list[str]:
        """Return files and folders under data/ that a stage should have cleared away."""
        return [str(path) for path in (self.path / "data").rglob("*.tmp*")]
