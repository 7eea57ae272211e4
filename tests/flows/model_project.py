"""A throwaway project with a model to promote: our params.yaml, small stages, a comparison of its own."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import DEFAULTS, set_params
from tests.flows.experiment import Experiment
from tests.flows.harness import copy_made, init

DVC_YAML = """\
stages:
  download:
    cmd: python fake_stage.py model download
    params: [data.source]
    outs: [data/raw]
  train:
    cmd: python fake_stage.py model train
    deps: [fake_stage.py, data/raw]
    params: [train]
    outs: [models/generator.safetensors, models/extractor.safetensors, data/prepared/test.safetensors]
  evaluate:
    cmd: python fake_stage.py model evaluate
    deps: [models/generator.safetensors, data/raw/inventory.json]
    params: [train]
    outs: [samples/samples.safetensors, reports/index.html]
    metrics:
      - reports/metrics.json:
          cache: false
    plots:
      - samples/grid.png:
          cache: false
artifacts:
  model:
    path: models/generator.safetensors
    type: model
"""
PACKAGE = """\
from pkgutil import extend_path
__path__ = extend_path(__path__, __name__)  # the rest of it is the real one
"""
# Stands in for gan/evaluation/compare.py: more epochs are better.
COMPARE = """\
import json, sys
from pathlib import Path
ours, theirs = (1 / float(Path(path).read_text()) for path in sys.argv[3:5])
part = {"candidate": ours, "candidate_sd": 0.001, "champion": theirs, "champion_sd": 0.001}
part |= {"difference": ours - theirs, "difference_sd": 0.001}
Path(sys.argv[5]).parent.mkdir(exist_ok=True)
Path(sys.argv[5]).write_text(json.dumps({"semantic": part, "texture": part}))
"""


@dataclass
class Model(Experiment):
    """Download a folder of the user's, train, evaluate; and the commands that retrain and promote."""

    def set(self, **values: object) -> None:
        set_params(self.root, **values)

    def retrain(self, *arguments: str, status: int = 0, **extra: str) -> str:
        return self.run("flows.retrain", *arguments, status=status, **extra)

    def promote(self, *arguments: str, status: int = 0, **extra: str) -> str:
        return self.run("flows.promote", *arguments, status=status, **extra)

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads/retrain").split()

    def stages(self) -> list[psutil.Process]:
        """The processes of stages that are at work here or in a worktree."""
        processes = []
        for process in self.below():
            with suppress(psutil.NoSuchProcess):  # it may end while it is looked at
                if "fake_stage.py" in process.cmdline():
                    processes.append(process)
        return processes


def make_model(folder: Path) -> Model:
    """Make the project and record it once."""
    copy_made("model", folder, _make)
    model = _model(folder)
    model.git("add", "-f", "samples/grid.png", "reports/metrics.json")
    model.commit("first")
    return model


def _model(folder: Path) -> Model:
    return Model(folder / "project", folder / "prefect", source=folder / "photos", wheels=folder / "wheels")


def _make(folder: Path) -> None:
    model = _model(folder)
    root = model.root
    root.mkdir(parents=True)
    model.source.mkdir()
    (model.source / "one.txt").write_text("one")
    shutil.copy(Path(__file__).with_name("fake_stage.py"), root)
    shutil.copy(DEFAULTS, root / "params.yaml")
    for package in (root / "gan", root / "gan" / "evaluation"):
        package.mkdir()
        (package / "__init__.py").write_text(PACKAGE)
    (root / "gan" / "evaluation" / "compare.py").write_text(COMPARE)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / ".gitignore").write_text("/.runs\n/data\n/models\n/samples\n/reports\n")
    model.set(data__source=str(model.source), train__epochs=10)
    init(model)
    model.dvc("repro", "-q")
