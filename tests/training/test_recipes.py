"""Every recipe trains: six steps of its own networks and batch, on noise of its shape."""

import re
from pathlib import Path

import pytest
import torch

from gan import devices, params
from gan.params import Train
from gan.training.loop import Data, Loop
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    recipe = params.load(path)
    grey = recipe.data.source in ("digits", "mnist")
    size, count = recipe.data.image_size, 2 * recipe.train.batch_size * recipe.train.d_steps
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1 if grey else 3, size, size), generator=rng).to(torch.uint8)
    devices.prepare("cpu", recipe.train.threads)
    train = Train.model_validate({**recipe.train.model_dump(), "max_steps": 6, "log_every": 3})
    data = Data(images, torch.arange(count) % 10, 10)
    loop = Loop(recipe.network, train, data, tmp_path, "cpu")
    loop.run(lambda *_: None)
    assert [row[0] for row in loop.log] == [3, 6]
    assert len(list((tmp_path / "snapshots").iterdir())) == min(6, train.snapshots)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_each_recipe_says_how_long_it_takes_as_the_docs_do(path: Path) -> None:
    head = " ".join(path.read_text().partition("\n\n")[0].replace("# ", "").split())
    (said,) = re.findall(r"training takes about ([\d.]+ \w+) on two cores", head, re.IGNORECASE)
    docs = (RECIPES[0].parent.parent / "docs" / "training.md").read_text()
    assert re.search(rf"^\| `{path.name}` \|.*\| {said} \|$", docs, re.MULTILINE)
    assert "not measured on a GPU" in head or "on one H100" in head
