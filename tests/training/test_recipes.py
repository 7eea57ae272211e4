"""Every recipe trains: twenty steps of its own networks and batch, on noise of its shape."""

from pathlib import Path

import pytest
import torch

from gan import params
from gan.params import Train
from gan.training.loop import Data, Loop
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_runs_for_twenty_steps(path: Path, tmp_path: Path) -> None:
    recipe = params.load(path)
    grey = recipe.data.source in ("digits", "mnist")
    size, count = recipe.data.image_size, 2 * recipe.train.batch_size * recipe.train.d_steps
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1 if grey else 3, size, size), generator=rng).to(torch.uint8)
    torch.set_num_threads(recipe.train.threads)
    train = Train.model_validate({**recipe.train.model_dump(), "max_steps": 20, "log_every": 10})
    data = Data(images, torch.arange(count) % 10, 10)
    loop = Loop(recipe.network, train, data, tmp_path, "cpu")
    loop.run(lambda *_: None)
    assert [row[0] for row in loop.log] == [10, 20]
    assert len(list((tmp_path / "snapshots").iterdir())) == min(20, train.snapshots)
