"""On a GPU: the same bits twice, after a kill, and by CUDA graphs as without.

Run them by `python -m pytest -m gpu`, as benchmarks/gpu.sh does; other runs leave them out.
"""

from pathlib import Path

import pytest
import torch

from gan import devices, params
from gan.params import Network, Train
from gan.training.feed import Data
from gan.training.loop import Loop
from tests.conftest import DEFAULTS
from tests.training.test_loop import killed_at, quiet

pytestmark = pytest.mark.gpu
KINDS = {
    "dcgan": ({}, {}),
    "dcgan with classes": ({"conditional": True}, {"objective": "relativistic", "r1_gamma": 0.1}),
    "residual": (
        {"architecture": "residual"},
        {"objective": "relativistic", "r1_gamma": 0.1, "r2_gamma": 0.1},
    ),
    "mlp": ({"architecture": "mlp"}, {}),
}


@pytest.fixture(scope="module")
def device() -> str:
    assert torch.cuda.is_available(), "these tests need a CUDA device"
    return devices.prepare("cuda", "auto", "auto")


def loop_of(kind: str, folder: Path, device: str, **changes: object) -> Loop:
    """Return a training of 60 steps on noise, in the precision that `auto` takes here."""
    default = params.load(DEFAULTS)
    network, train = KINDS[kind]
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (256, 3, 32, 32), generator=rng).to(torch.uint8)
    small = {"conditional": False, "base_channels": 16, "hidden_units": 64}
    length = {"batch_size": 32, "max_steps": 60, "epochs": 100, "snapshots": 3, "log_every": 20}
    return Loop(
        Network.model_validate({**default.network.model_dump(), **small, **network}),
        Train.model_validate(
            {**default.train.model_dump(), **length, "checkpoint_seconds": 0, **train, **changes}
        ),
        Data(images, torch.arange(256) % 4, 4),
        folder,
        device,
        precision=devices.precision("auto", device),
    )


def bits(loop: Loop) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((loop.folder / "snapshots").iterdir())}


def trained(kind: str, folder: Path, device: str, **changes: object) -> dict[str, bytes]:
    loop = loop_of(kind, folder, device, **changes)
    loop.run(quiet)
    return bits(loop)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_twice(kind: str, tmp_path: Path, device: str) -> None:
    first, second = (trained(kind, tmp_path / name, device) for name in "ab")
    assert len(first) == 3 and first == second
    assert first != trained(kind, tmp_path / "c", device, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_gives_the_same_bits(kind: str, tmp_path: Path, device: str) -> None:
    whole = trained(kind, tmp_path / "whole", device)
    killed_at(loop_of(kind, tmp_path / "killed", device), 33)
    assert trained(kind, tmp_path / "killed", device) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_give_the_bits_of_single_kernels(kind: str, tmp_path: Path, device: str) -> None:
    graphs, eager = (
        trained(kind, tmp_path / str(on), device, cuda_graphs=on, compile=False) for on in (True, False)
    )
    assert graphs == eager
