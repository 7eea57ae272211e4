"""`ganflow evaluate`: past models in one table, by the real stages; what it finds is what they recorded."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SMALL, command, copy_project, set_params

REVISIONS = 4


def evaluate(folder: Path, *arguments: str, ok: bool = True) -> str:
    return command([sys.executable, "-m", "flows.models.evaluate", *arguments], folder, ok=ok)


def as_json(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    text = evaluate(folder, "--json", *arguments)
    return list(json.loads(text[text.index("[\n") :]))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A checkout with some small experiments, and what each recorded, by its commit."""
    folder = copy_project(tmp_path_factory.mktemp("history") / "project")
    recorded = {}
    for seed in range(REVISIONS):
        set_params(folder, **{**SMALL, "train__seed": seed})
        command(["dvc", "repro", "-q", "evaluate"], folder)
        command(["git", "add", "-A"], folder)
        command(["git", "commit", "-qm", f"seed {seed}"], folder)
        commit = command(["git", "rev-parse", "HEAD"], folder).strip()
        recorded[commit] = json.loads((folder / "reports" / "evaluation.json").read_text())
    return folder, recorded


@pytest.mark.slow
def test_revisions_in_one_table(history: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    folder, recorded = history
    before = command(["git", "status", "--porcelain"], folder)
    rows = as_json(folder, *recorded)
    assert [row["id"] for row in rows] == list(recorded)
    for row in rows:  # the same extractor, data and metrics: the same figures, to the last digit
        figures = recorded[row["id"]]
        assert {key: row["figures"][key] for key in figures} == figures
    assert len({row["figures"]["fd_semantic"] for row in rows}) == REVISIONS
    assert command(["git", "status", "--porcelain"], folder) == before
    page = (folder / ".runs" / "evaluate" / "index.html").read_text()
    assert page.count("<tr><td><a href") == REVISIONS
    for name in re.findall(r'src="([^"]+)"', page):
        assert (folder / ".runs" / "evaluate" / name).is_file()
    assert not (folder / ".runs" / "evaluate" / "work").exists()


@pytest.mark.slow
def test_another_evaluation_measures_again(history: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    folder, recorded = history
    first, last = next(iter(recorded)), list(recorded)[-1]
    assert len(as_json(folder, f"{first}..{last}")) == REVISIONS - 1
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / ".runs" / "evaluate").glob("*.json")}
    table = evaluate(folder, first)
    assert f"{first[:10]}" in table and "±" in table
    assert {p.name: p.stat().st_mtime_ns for p in (folder / ".runs" / "evaluate").glob("*.json")} == kept
    set_params(folder, evaluate__max_images=100)
    (again,) = as_json(folder, first)
    assert (again["figures"]["n"], recorded[first]["n"]) == (100, 200)
    assert len(list((folder / ".runs" / "evaluate").glob("*.json"))) == len(kept) + 1
    command(["git", "checkout", "-q", "params.yaml"], folder)


@pytest.mark.slow
def test_a_model_that_is_gone_is_named(
    history: tuple[Path, dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(history[0], copy, symlinks=True)
    first, last = next(iter(history[1])), list(history[1])[-1]
    lock = command(["git", "show", f"{first}:dvc.lock"], copy)
    md5 = re.search(r"path: models/generator.safetensors\s+hash: md5\s+md5: (\w+)", lock)
    assert md5
    (copy / ".dvc" / "cache" / "files" / "md5" / md5[1][:2] / md5[1][2:]).unlink()
    shutil.rmtree(copy / ".runs" / "evaluate", ignore_errors=True)
    output = evaluate(copy, first, last)
    assert f"{first[:10]}: neither in the cache nor in the remote" in output
    assert f"`ganflow reproduce {first[:10]} --restore` makes it anew" in output
    assert re.search(rf"^{last[:10]} .*±", output, re.MULTILINE)
    assert "no model could be measured" in evaluate(copy, first, ok=False)


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    folder = copy_project(tmp_path / "project")
    assert "error: give revisions, or --all, or --promoted" in evaluate(folder, ok=False)
    assert "error: give revisions, or --all, or --promoted" in evaluate(folder, "--all", "HEAD", ok=False)
    assert "error: 'nothing': no tag, branch" in evaluate(folder, "nothing", ok=False)
    none = evaluate(folder, "--promoted", ok=False)
    assert "error: no version is promoted yet; `ganflow promote REVISION` makes the first" in none
    assert "`dvc repro extractor` makes what measures" in evaluate(folder, "--all", ok=False)
