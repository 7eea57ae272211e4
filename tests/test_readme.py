"""The README keeps its word: short, its figures those of the committed run, its commands there."""

import json
import re

from flows.front_door.command_table import COMMANDS
from gan.metric_table import metric_rows
from tests.conftest import ROOT, committed

# The page and the card show all; the README these.
HEADLINE = ("fd_semantic", "fd_texture", "precision", "recall", "memorised", "label_divergence")
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) < 200


def test_its_table_is_the_committed_run() -> None:
    metrics = json.loads(committed("reports/evaluation.json"))
    rows = {
        f"| {row['name']} | {row['figure']} | {row['interval']} | {row['floor']} |"
        for row in metric_rows(metrics)
    }
    head = re.escape("| samples | 95 % interval | real |\n|---|---|---|---|\n")
    match = re.search(rf"\| n = (\d+) {head}((?:\|.*\n)+)", TEXT)
    assert match is not None
    assert int(match[1]) == metrics["n"]
    table = match[2].splitlines()
    assert not set(table) - rows  # no figure that the run does not have
    for key in HEADLINE:
        (row,) = metric_rows({key: metrics[key]})
        assert any(line.startswith(f"| {row['name']} |") for line in table), key


def test_the_targets_recipes_and_modules_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", TEXT, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for recipe in (ROOT / "recipes").glob("*.yaml"):
        assert f"`{recipe.stem}`" in TEXT
    blocks = "".join(re.findall(r"^```\w*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
    commands = re.findall(r"^ganflow (\w+)", blocks, re.MULTILINE)
    assert commands
    for command in commands:
        assert command in COMMANDS, command
    for module in re.findall(r"python -m ([\w.]+)", TEXT):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
