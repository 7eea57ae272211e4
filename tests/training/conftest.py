"""A training small enough to run many times."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan import params
from gan.params import Network, Train
from gan.training.loop import Loop
from tests.conftest import ROOT

MakeLoop = Callable[..., Loop]


@pytest.fixture
def make_loop(tmp_path: Path) -> MakeLoop:
    """Build a Loop on 40 images of two kinds; keywords change `train` or, with network_, `network`."""
    default = params.load(ROOT / "params.yaml")
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 32, 32), generator=rng).to(torch.uint8)

    def make(folder: str = "run", **changes: object) -> Loop:
        torch.set_num_threads(1)
        small = {"base_channels": 4, "latent_dim": 8, "hidden_units": 8}
        network_changes = {
            k.removeprefix("network_"): v for k, v in changes.items() if k.startswith("network_")
        }
        network = Network.model_validate({**default.network.model_dump(), **small, **network_changes})
        steps = {"batch_size": 8, "epochs": 100, "max_steps": 12, "snapshots": 3, "log_every": 5}
        own = {k: v for k, v in changes.items() if not k.startswith("network_")}
        train = Train.model_validate({**default.train.model_dump(), "checkpoint_seconds": 0, **steps, **own})
        return Loop(network, train, images, tmp_path / folder, "cpu")

    return make
