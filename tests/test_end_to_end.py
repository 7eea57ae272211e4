"""The whole way, with the real commands, on small trainings."""

import csv
import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tests.conftest import SMALL, command, copy_project, set_params
from tests.forked_commands import Forked

STAGES = [
    "download",
    "prepare",
    "validate",
    "train",
    "extractor",
    "select",
    "sample",
    "evaluate",
    "report",
]

# The columns of `dvc exp show` that are metrics, in its order: by stage.
METRICS = (
    *("images_kept", "images_refused", "validation_warnings"),
    *("fd_semantic", "fd_texture", "precision", "recall"),
    *("label_divergence", "duplicates", "memorised", "n"),
)


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", output)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro` has run once, everything committed."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    set_params(folder, **SMALL)
    output = command(["dvc", "repro"], folder)
    assert sorted(ran(output)) == sorted(STAGES)
    assert "Traceback" not in output
    command(["git", "add", "-A"], folder)
    command(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "run"], folder)
    return folder


def test_it_makes_what_it_promises(project: Path) -> None:
    drawn = load_file(project / "samples" / "samples.safetensors")["images"]
    assert drawn.dtype == np.uint8
    assert drawn.shape == (200, 1, 32, 32)
    metrics = json.loads((project / "reports" / "evaluation.json").read_text())
    for name in ("fd_semantic", "fd_texture", "precision", "recall"):
        assert metrics[name] >= 0
        assert metrics[f"{name}_floor"] >= 0
    assert metrics["fd_semantic"] > metrics["fd_semantic_floor"]
    assert metrics["n"] == 200
    assert 0 <= metrics["label_divergence"] <= 1
    assert re.fullmatch("[0-9a-f]{64}", metrics["extractor_sha256"])
    header = (project / "reports" / "training.csv").read_text().splitlines()
    assert header[0] == "step,images_seen,loss_d,loss_g,d_real,d_fake,learning_rate,augment_p"
    assert [line.split(",")[0] for line in header[1:]] == ["5", "10", "15", "20"]
    with Image.open(project / "samples" / "grid.png") as grid:
        assert grid.size == (338, 338)
    page = (project / "reports" / "index.html").read_text()
    # Pixels in base64 hold every four letters sooner or later.
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"|data:image/\w+;base64,[^"]*', "", page)


def test_neither_git_nor_dvc_knows_the_machine(project: Path) -> None:
    facts = json.loads((project / ".runs" / "machine.json").read_text())
    assert facts["packages"]["torch"]
    assert "machine.json" not in command(["git", "ls-files"], project)
    assert "machine.json" not in (project / "dvc.lock").read_text()


def changed(project: Path) -> set[str]:
    """The stages of which DVC says that something they depend on has changed."""
    return set(json.loads(command(["dvc", "status", "--json"], project)))


def plant(project: Path, package: str) -> None:
    path = project / "packages.yaml"
    path.write_text(
        re.sub(rf'^{package}: ".*"$', f'{package}: "0.0.1"', path.read_text(), flags=re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("package", "stages"),
    [
        ("torch", {"train", "extractor", "select", "sample", "evaluate"}),
        pytest.param(
            "pillow",
            {"prepare", "validate", "train", "select", "sample", "evaluate", "report"},
            marks=pytest.mark.slow,
        ),
        pytest.param("simplejpeg", {"prepare"}, marks=pytest.mark.slow),
        pytest.param("scikit-learn", {"download"}, marks=pytest.mark.slow),
    ],
)
def test_another_version_concerns_those_that_import_it(project: Path, package: str, stages: set[str]) -> None:
    original = (project / "packages.yaml").read_bytes()
    plant(project, package)
    try:
        assert changed(project) == stages
        assert package in command(["dvc", "params", "diff"], project)
    finally:
        (project / "packages.yaml").write_bytes(original)
    assert changed(project) == set()


@pytest.mark.slow
def test_a_stage_with_another_version_refuses_or_says_so(project: Path, tmp_path: Path) -> None:
    names = ("packages.yaml", "dvc.lock")
    original = {name: (project / name).read_bytes() for name in names}
    plant(project, "matplotlib")
    try:
        output = command(["dvc", "repro"], project, ok=False)
        (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
        assert re.search(
            r"matplotlib: 0\.0\.1 pinned, \d\S+ installed; `make setup` .*GANFLOW_UNPINNED=1", line
        )
        assert "Traceback" not in output
        output = command(["dvc", "repro"], project, GANFLOW_UNPINNED="1")
        assert ran(output) == ["report"]
        assert re.search(r"^report +unpinned: matplotlib: 0\.0\.1 pinned", output, re.MULTILINE)
        card = (project / "reports" / "model_card.md").read_text()
        assert "Not made with the pinned packages: report with matplotlib" in card
        assert "matplotlib: 0.0.1" in (project / "dvc.lock").read_text()
    finally:
        for name, content in original.items():
            (project / name).write_bytes(content)
    command(["dvc", "checkout"], project)
    assert changed(project) == set()


def test_git_is_clean_after_it(project: Path) -> None:
    assert command(["git", "status", "--porcelain"], project) == ""


def test_nothing_runs_again(project: Path) -> None:
    before = (project / "dvc.lock").read_bytes()
    assert ran(command(["dvc", "repro"], project)) == []
    assert (project / "dvc.lock").read_bytes() == before


def test_dvc_shows_metrics_params_and_plots(project: Path) -> None:
    assert "fd_semantic" in command(["dvc", "metrics", "show"], project)
    columns = next(csv.reader(command(["dvc", "exp", "show", "--csv"], project).splitlines()))
    assert "train.learning_rate" in columns
    assert tuple(name for name in columns if name in METRICS) == METRICS
    command(["dvc", "plots", "diff", "HEAD", "-o", "plots"], project)
    page = (project / "plots" / "index.html").read_text()
    assert all(name in page for name in ("loss_d", "d_fake", "fd_texture", "grid.png"))


@pytest.mark.slow
def test_the_table_of_experiments_fits_a_terminal(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(project, clone, symlinks=True)
    command(["dvc", "exp", "run", "-S", "train.learning_rate=3e-4"], clone)
    table = command(["dvc", "exp", "show", "--only-changed", "--no-pager"], clone, COLUMNS="160")
    assert max(map(len, table.splitlines())) <= 160  # DVC cuts the hashes of files, which come last
    assert table.index("fd_semantic") < table.index("fd_texture") < table.index("train.learning_rate")


@pytest.mark.slow
def test_a_changed_param_runs_what_depends_on_it_and_back_again_nothing(project: Path) -> None:
    original = (project / "params.yaml").read_bytes(), (project / "dvc.lock").read_bytes()
    set_params(project, train__learning_rate=1e-4)
    earlier = project / ".runs" / "report.html"
    earlier.write_text("the page of an earlier run")
    output = command(["dvc", "repro"], project)
    assert not earlier.exists()
    assert ran(output) == ["train", "select", "sample", "evaluate", "report"]
    assert "fd_semantic" in command(["dvc", "metrics", "diff"], project)
    (project / "params.yaml").write_bytes(original[0])
    output = command(["dvc", "repro"], project)
    assert ran(output) == []
    assert "is cached - skipping run" in output
    assert (project / "dvc.lock").read_bytes() == original[1]


@pytest.mark.slow
def test_a_relative_source_works_in_a_copy_of_the_checkout(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(project, clone, symlinks=True)
    rng = np.random.default_rng(0)
    (clone / "photos").mkdir()
    for number in range(100):
        Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8)).save(clone / f"photos/{number}.png")
    (clone / ".git" / "info" / "exclude").write_text("/photos\n")  # they are in no commit, so in no copy
    command(["dvc", "exp", "run", "--temp", "-S", "data.source=photos"], clone)
    command(["dvc", "exp", "run", "--queue", "-S", "data.source=photos", "-S", "sample.seed=3"], clone)
    command(["dvc", "exp", "run", "--run-all"], clone)
    rows = list(csv.DictReader(command(["dvc", "exp", "show", "--csv"], clone).splitlines()))
    assert [row["images_kept"] for row in rows if row["data.source"] == "photos"] == ["100", "100"]


@pytest.mark.slow
def test_the_flow_gives_the_same_lock_in_another_clone(project: Path, tmp_path: Path) -> None:
    clone = copy_project(tmp_path / "clone")
    (clone / "dvc.lock").unlink(missing_ok=True)
    (clone / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    output = command([sys.executable, "-m", "flows.pipeline"], clone, anew=True)
    assert (clone / "dvc.lock").read_bytes() == (project / "dvc.lock").read_bytes()
    assert "Traceback" not in output
    assert (
        command(
            ["git", "diff", "--no-index", "--stat", str(project / "samples"), str(clone / "samples")], clone
        )
        == ""
    )


@pytest.mark.slow
def test_unlabelled_images_of_every_kind_go_the_whole_way(project: Path, tmp_path: Path) -> None:
    """A flat folder: mixed sizes, modes and formats; no labels; the set-up of another clone."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i in range(120):
        size = tuple(int(side) for side in rng.integers(20, 90, 2))
        image = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        mode, suffix = [("RGB", "jpg"), ("RGBA", "png"), ("L", "png"), ("P", "gif"), ("RGB", "webp")][i % 5]
        image.convert(mode).save(folder / f"{i:03d}.{suffix}")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    clone = copy_project(tmp_path / "clone")
    (clone / "dvc.lock").unlink(missing_ok=True)
    set_params(clone, **SMALL, data__source=str(folder), train__batch_size=16)
    command(["dvc", "repro"], clone)
    metrics = json.loads((clone / "reports" / "evaluation.json").read_text())
    assert "label_divergence" not in metrics
    assert metrics["n"] == 24
    assert load_file(clone / "samples" / "samples.safetensors")["images"].shape == (200, 3, 32, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__image_size": 33}, "data.image_size: 33: input should be 32, 64 or 128"),
        ({"evaluate__nearest": 3}, "evaluate.nearest: unknown key"),
        ({"train__batch_size": 5000}, "train.batch_size: 5000: larger than the training half"),
        ({"train__device": "cuda"}, "train.device: 'cuda': this machine has no CUDA device"),
        (
            {"evaluate__nearest_k": 1000},
            "evaluate.nearest_k: 1000: needs 1001 images or more of each set",
        ),
        ({"data__source": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_params_are_one_line_and_lose_nothing(
    project: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    import torch

    if "train__device" in changes and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    original = (project / "params.yaml").read_bytes()
    section = next(iter(changes)).partition("__")[0]
    stage = {"data": "download", "train": "train", "evaluate": "evaluate"}[section]
    before = {path: path.read_bytes() for path in (project / "reports").glob("*.*")}
    try:
        set_params(project, **changes)
        process = Forked(f"gan.stages.{stage}", [], project, os.environ)
        output, _ = process.communicate(120)
    finally:
        (project / "params.yaml").write_bytes(original)
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert process.returncode == 1
    assert len(errors) == 1, output
    assert message in errors[0]
    assert "Traceback" not in output
    assert {path: path.read_bytes() for path in before} == before
