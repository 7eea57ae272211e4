"""Every command in README and docs works as it stands there, in a clone with a small training.

Names that stand for the reader's own (`v1.2`, `FILE`) are given a meaning by `STANDS_FOR` and the project.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import REFUSED, ROOT, command, copy_project, set_params
from tests.stages.project import TINY_PIPELINE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
DOCUMENTS = sorted(
    path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")] if path.name != "CHANGELOG.md"
)
PROGRAMS = re.compile(r"(ganflow|dvc|make|python|git|prefect|torchrun|sudo|export|\.ci/run|\.)( |$)")
# What another machine, a network or hours are needed for, and what runs it instead.
ELSEWHERE = {
    r"make |git clone|\.ci/run|\. \.venv": "CI does this, around these tests",
    r"python -m (pytest|tests)": "CI does this, around these tests",
    r"python -m benchmarks": "hours; see benchmarks/README.md",
    r"sudo |export |dvc config cache\.": "another machine",
    r".*(ssh|s3)://|dvc remote modify": "a server; tests/flows/test_storage.py",
    r".*cifar10": "a download; tests/download",
    r"ganflow (serve|automations)|prefect ": "a server; tests/flows/test_serve.py",
    r"ganflow watch": "ends by Ctrl-C; tests/flows/pages/test_watch.py",
    r"torchrun|.*train\.devices": "many devices; tests/training/test_distributed.py",
    r".*--on dask": "another scheduler; tests/flows/test_sweep.py",
}
STANDS_FOR = {
    "/mnt/store": "../store",
    "dvc artifacts get": "rm -f generator.safetensors; dvc artifacts get",
    "https://git.example/team/gan": ".",
    "retrain/2026-11-24T03-00-12Z": "$(git branch --list 'retrain/*' --format '%(refname:short)' | tail -n1)",
    "SHA256": "$(sha256sum models/generator.safetensors | cut -c1-64)",
    "FILE...": "models/generator.safetensors",
    "FILE": "models/generator.safetensors",
    "history A B": "history v1.0 v1.2",
    "--random 20": "--random 2",
    "1e-4,2e-4": "1e-4",  # one trial fewer of each
    "1e-4,5e-4": "1e-4",
    "dvc add data/images": "cp -r ../photos data/images; dvc add data/images",
    "dvc gc": "yes | dvc gc",
}


def commands(document: Path) -> Iterator[str]:
    """Give the command lines of the fenced blocks of a document, without their comments."""
    for block in re.findall(r"^```\w*\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            text = re.sub(r"\s+#.*", "", line).strip()
            if PROGRAMS.match(text) and not line.startswith(" "):
                yield text


def first_documents() -> dict[str, Path]:
    """Return each command with the first document that has it: there it is run, not in the others too."""
    first: dict[str, Path] = {}
    for document in DOCUMENTS:
        for text in commands(document):
            first.setdefault(text, document)
    return first


FIRST = first_documents()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with four recorded runs, tags, a champion and one before it, and a folder of photos."""
    home = tmp_path_factory.mktemp("home")
    folder = copy_project(home / "project")
    command(["git", "branch", "-M", "main"], folder)
    (folder / "dvc.lock").unlink()  # of the checkout, whose training is long
    command(["git", "commit", "-qa", "--amend", "-m", "copy"], folder)
    for seed in range(4):
        set_params(folder, **TINY_PIPELINE, sample__seed=seed)
        command(["dvc", "repro"], folder)
        command(["git", "add", "-A"], folder)
        command(["git", "commit", "-qm", f"run {seed}"], folder)
    for tag in ("v1.0", "v1.2"):
        command(["git", "tag", tag], folder)
    for revision in ("HEAD~1", "HEAD"):
        command(["ganflow", "promote", revision, "--regardless", "a test"], folder)
    draw = "ganflow sample --model models/generator.safetensors --count 2 --out ../drawn"
    command(draw.split(), folder, HOME=str(home))  # makes the signing key
    return home


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_they_work(made: Path, tmp_path: Path, document: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(made, home, symlinks=True)
    project = home / "project"
    photos = home / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0)
    for number in range(120):
        Image.fromarray(noise.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(photos / f"{number}.png")
    shutil.make_archive(str(photos), "zip", photos)
    shutil.copy(project / "models" / "generator.safetensors", project / "earlier.safetensors")
    for text in commands(document):
        if FIRST[text] != document or any(re.match(pattern, text) for pattern in ELSEWHERE):
            continue
        typed = text
        for name, meaning in STANDS_FOR.items():
            typed = typed.replace(name, meaning)
        if text.startswith(("ganflow retrain", "ganflow promote")):
            typed += f" || [ $? = {REFUSED} ]"
        output = command(["bash", "-ec", typed], project, HOME=str(home), BROWSER="true", COLUMNS="100")
        assert "Traceback" not in output and "error:" not in output, f"{text}\n{output}"


def test_what_is_run_elsewhere_is_still_documented() -> None:
    lines = [text for document in DOCUMENTS for text in commands(document)]
    for pattern in ELSEWHERE:
        assert any(re.match(pattern, text) for text in lines), pattern
