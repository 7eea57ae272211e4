"""Another version of a package: named by what rebuilds, refused by what retrains, unless told otherwise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.experiment import Experiment, make_experiment
from tests.flows.model_project import Model, make_model

NO_SECOND = "does not give the same bits twice"


@pytest.fixture
def pinned(tmp_path: Path) -> Experiment:
    """An experiment whose training names a package, recorded with the version that is pinned."""
    made = make_experiment(tmp_path)
    for version in ("1.0", "2.0"):
        local = ["--offline", "--no-index", "--find-links", str(made.wheels)]
        target = ["--target", str(tmp_path / "installed" / version)]
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "-q",
            *target,
            *local,
            f"toything=={version}",
        ]
        subprocess.run(command, check=True)
    text = (made.root / "dvc.yaml").read_text()
    text = text.replace("[train]\n", "[train]\n      - packages.yaml: [toything]\n")
    (made.root / "dvc.yaml").write_text(text)
    pin(made, "1.0")
    made.params(train__package=True)
    made.record("with toything 1.0", **installed(made, "1.0"))
    return made


def pin(experiment: Experiment, version: str) -> None:
    (experiment.root / "packages.yaml").write_text(f'toything: "{version}"\n')
    (experiment.root / "requirements.txt").write_text(f"toything=={version}\n")


def installed(experiment: Experiment, version: str) -> dict[str, str]:
    return {"PYTHONPATH": str(experiment.root.parent / "installed" / version)}


def rows(experiment: Experiment) -> list[tuple[str, str, str]]:
    verdict = experiment.verdict(experiment.git("rev-parse", "HEAD"))
    return [(row["stage"], row["kind"], row["what"]) for row in verdict["differences"]]


@pytest.mark.slow
def test_another_pin_runs_again_what_names_it_and_is_named(pinned: Experiment, api: dict[str, str]) -> None:
    pinned.reproduce("HEAD", **api)  # in an environment of its own
    assert rows(pinned) == []
    pin(pinned, "2.0")
    assert set(json.loads(pinned.dvc("status", "--json"))) == {"train"}
    pinned.commit("toything 2.0, nothing was run")
    output = pinned.reproduce("HEAD", status=4, **api)
    assert rows(pinned) == [("train", "package", "toything: 1.0 recorded, 2.0 pinned at this revision")]
    assert NO_SECOND not in output
    pinned.record("with toything 2.0", **installed(pinned, "2.0"))
    assert "packages: toything 1.0 → 2.0" in pinned.run("flows.history")


@pytest.mark.slow
def test_other_packages_today_refuse_or_are_named(pinned: Experiment, api: dict[str, str]) -> None:
    today = {**api, **installed(pinned, "2.0")}
    output = pinned.reproduce("HEAD", "--same-environment", status=4, **today)
    assert rows(pinned) == [("train", "package", "toything: 1.0 pinned, 2.0 ran here")]
    assert NO_SECOND not in output


@pytest.mark.slow
def test_a_record_made_with_other_packages(pinned: Experiment, api: dict[str, str]) -> None:
    pinned.params(train__threads=3)
    refused = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=pinned.root,
        env=pinned.environment(**installed(pinned, "2.0")),
        capture_output=True,
        text=True,
    )
    assert refused.returncode
    assert "toything: 1.0 pinned, 2.0 installed" in refused.stderr
    pinned.record("regardless", GANFLOW_UNPINNED="1", **installed(pinned, "2.0"))
    output = pinned.reproduce("HEAD", status=4, **api)
    assert rows(pinned) == [("train", "package", "toything: 1.0 pinned, 2.0 ran when this was recorded")]
    assert NO_SECOND not in output
    assert "unpinned, train: toything 2.0" in pinned.run("flows.history")


@pytest.mark.slow
def test_whose_bits(pinned: Experiment, api: dict[str, str]) -> None:
    """On any x86-64 processor with AVX2 they are equal; where they are somebody's own, metrics decide."""
    output = pinned.reproduce("HEAD", status=4, TOY_NOISE="0.01", **api)
    assert NO_SECOND in output
    other = {"TOY_NOISE": "0.01", "TOY_BITS_OF": "a GPU"}
    output = pinned.reproduce("HEAD", status=3, **other, **api)
    assert "bits: any x86-64 processor with AVX2 recorded, a GPU here" in output


@pytest.mark.slow
def test_retraining_and_promotion(tmp_path: Path, api: dict[str, str]) -> None:
    model = make_model(tmp_path)
    model.promote(**api)
    (model.root / "packages.yaml").write_text('numpy: "0.1"\n')
    model.commit("another numpy is pinned")
    refused = model.retrain("-S", "train.epochs=20", status=1, **api).strip().splitlines()[-1]
    assert refused.startswith("error: numpy: 0.1 pinned, ")
    assert "`make setup` installs it, or --unpinned goes on" in refused
    assert model.branches() == []
    assert "numpy: 0.1 pinned" in model.promote(status=1, **api)
    assert "numpy: 0.1 pinned" in model.run("flows.sweep", "train.epochs=1,2", status=1, **api)

    output = model.retrain("-S", "train.epochs=20", "--unpinned", **api)
    assert "promoted as v1.1.0" in output
    assert "unpinned, train: numpy 2" in model.git("log", "-1", "--format=%B", *model.branches())
    assert "packages: train: numpy 2; here: numpy " in model.git(
        "tag", "-l", "--format=%(contents)", "model@v1.1.0"
    )

    (model.root / "packages.yaml").unlink()
    model.git("checkout", "-q", *model.branches())
    model.git("rm", "-q", "packages.yaml")
    model.commit("nothing is pinned any more")
    refused = model.promote(status=3, **api)
    assert "FAILS  packages" in refused


@pytest.mark.slow
def test_an_unpinned_sweep_says_so(tmp_path: Path, api: dict[str, str]) -> None:
    model: Model = make_model(tmp_path)
    (model.root / "packages.yaml").write_text('numpy: "0.1"\n')
    model.commit("another numpy is pinned")
    model.run("flows.sweep", "train.epochs=1,2", "--unpinned", **api)
    messages = model.git("log", "--no-walk", "--format=%B", "--glob=refs/exps")
    assert messages.count("unpinned, train: numpy 2") == 2
