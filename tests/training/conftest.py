"""A training small enough to run many times."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan import params
from gan.params import Network, Train
from gan.training.loop import Data, Loop
from tests.conftest import DEFAULTS, UNPENALISED

MakeLoop = Callable[..., Loop]


@pytest.fixture
def make_loop(tmp_path: Path) -> MakeLoop:
    """Build a Loop on 40 images of two kinds; keywords change `train` or, with network_, `network`."""
    default = params.load(DEFAULTS)
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 32, 32), generator=rng).to(torch.uint8)
    data = Data(images, torch.arange(40) % 4 // 3, 2)  # 30 of one kind, 10 of the other

    def make(folder: str = "run", **changes: object) -> Loop:
        torch.set_num_threads(1)
        small = {"conditional": False, "base_channels": 4, "latent_dim": 8, "hidden_units": 8}
        network_changes = {
            k.removeprefix("network_"): v for k, v in changes.items() if k.startswith("network_")
        }
        network = Network.model_validate({**default.network.model_dump(), **small, **network_changes})
        steps = {"batch_size": 8, "epochs": 100, "max_steps": 12, "snapshots": 3, "log_every": 5}
        settings = {k: v for k, v in changes.items() if not k.startswith("network_")}
        train = Train.model_validate(
            {**default.train.model_dump(), "checkpoint_seconds": 0, **UNPENALISED, **steps, **settings}
        )
        precision = torch.bfloat16 if train.precision == "bf16" else torch.float32
        return Loop(network, train, data, tmp_path / folder, "cpu", precision=precision)

    return make


# The kinds of network, for what must hold of each: keywords of ``make_loop``.
NETWORKS = {
    "dcgan": {},
    "mlp": {"network_architecture": "mlp"},
    "resnet": {"network_architecture": "resnet"},
    "residual": {"network_architecture": "residual"},
    "dcgan with classes": {"network_conditional": True},
    "mlp with classes": {"network_architecture": "mlp", "network_conditional": True},
    "resnet with classes": {"network_architecture": "resnet", "network_conditional": True},
    "residual with classes": {"network_architecture": "residual", "network_conditional": True},
}
