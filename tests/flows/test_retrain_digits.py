"""The gate with real trainings on the digits: a better model promoted, a worse refused, fetched elsewhere."""

from pathlib import Path

import pytest

from tests.conftest import SMALL, command, copy_project, set_params
from tests.flows.experiment import git


@pytest.mark.slow
def test_real_trainings(tmp_path: Path, api: dict[str, str]) -> None:
    project, store = copy_project(tmp_path / "project"), tmp_path / "store"
    settings = {**SMALL, "network__base_channels": 16, "extractor__steps": 200, "sample__count": 1000}
    set_params(project, **{**settings, "train__max_steps": 60})
    command(["dvc", "repro", "-q"], project)
    command(["dvc", "remote", "add", "-d", "store", str(store)], project)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a poor model")

    def run(module: str, *arguments: str, ok: bool = True) -> str:
        return command(["python", "-m", module, *arguments], project, ok=ok, **api)

    assert "promoted as v1.0.0" in run("flows.promote", "--regardless", "to begin with")
    assert "promoted as v1.1.0, in the place of v1.0.0" in run("flows.retrain", "-S", "train.max_steps=400")
    worse = run("flows.retrain", "-S", "train.max_steps=30", ok=False)
    assert "refused: " in worse.splitlines()[-1]
    assert "kernel distance, semantic" in worse.splitlines()[-1]
    best = git(project, "rev-parse", "model@v1.1.0^{commit}")
    assert "max_steps: 400" in git(project, "show", f"{best}:params.yaml")

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(project), str(clone))
    command(["dvc", "artifacts", "get", str(project), "model", "-o", "fetched.safetensors"], clone)
    lock = git(project, "show", f"{best}:dvc.lock")
    assert command(["md5sum", "fetched.safetensors"], clone).split()[0] in lock
    (clone / "fetched.safetensors").unlink()
    run("flows.push", "champion")
    run("flows.promote", "--rollback")
    git(clone, "fetch", "-q", "--tags")
    run("flows.push", "v1.0.0")
    command(["dvc", "artifacts", "get", str(project), "model", "-o", "fetched.safetensors"], clone)
    first = git(project, "show", "model@v1.0.0:dvc.lock")
    assert command(["md5sum", "fetched.safetensors"], clone).split()[0] in first
