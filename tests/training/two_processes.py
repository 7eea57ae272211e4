"""What test_distributed.py runs in one process and in two: gradients and weights of a few steps."""

import os
import sys
from pathlib import Path

import torch

from gan import params
from gan.params import Network, Train
from gan.training import distributed
from gan.training.loop import Data, Loop
from tests.conftest import ROOT, UNPENALISED

SETTINGS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "plain": ({}, {"augment_shift": 2}),
    "penalised": (
        {},
        {"objective": "relativistic", "r1_gamma": 1.0, "r2_gamma": 1.0, "learning_rate_d": 1e-4},
    ),
    "wasserstein": ({}, {"objective": "wasserstein", "gradient_penalty": 10.0, "d_steps": 2}),
    "resnet": (
        {"architecture": "resnet", "conditional": True, "spectral_norm": True},
        {"objective": "hinge", "augment_target": 0.6, "augment_color": 1.0, "augment_cutout": 0.5},
    ),
    "residual": (
        {"architecture": "residual", "conditional": True},
        {
            "objective": "relativistic",
            "r1_gamma": 1.0,
            "r2_gamma": 1.0,
            "accumulate": 2,
            "on_collapse": "rollback",
        },
    ),
    "projected": (
        {"architecture": "projected", "spectral_norm": True},
        {"objective": "hinge", "beta1": 0.0, "augment_color": 1.0},
    ),
    "mlp": (
        {"architecture": "mlp", "hidden_units": 8, "latent_distribution": "uniform"},
        {"instance_noise": 0.1},
    ),
}


def data() -> Data:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 1, 32, 32), generator=rng).to(torch.uint8)
    return Data(images, torch.randint(0, 3, (40,), generator=rng), 3)


def build(name: str, folder: Path, world: distributed.World) -> Loop:
    default = params.load(ROOT / "recipes" / "digits.yaml")
    network, train = SETTINGS[name]
    small = {"conditional": False, "base_channels": 4, "latent_dim": 8}
    steps = {"batch_size": 8, "max_steps": 4, "log_every": 2, "snapshots": 1, "precision": "fp32"}
    return Loop(
        Network.model_validate({**default.network.model_dump(), **small, **network}),
        Train.model_validate(
            {**default.train.model_dump(), **UNPENALISED, **steps, "augment_shift": 0, **train}
        ),
        data(),
        folder,
        "cpu",
        world=world,
    )


def gradients(loop: Loop) -> dict[str, torch.Tensor]:
    """Gradients of both networks after one step, and every weight."""
    loop.advance()
    networks = (("generator", loop.trainer.generator), ("discriminator", loop.trainer.discriminator))
    by_name = {
        f"{network} {name}": p.grad.clone() for network, m in networks for name, p in m.named_parameters()
    }
    return by_name | {f"weight {name}": tensor.clone() for name, tensor in loop.models().items()}


def main() -> None:
    """Write, for each setting, OUT/NAME-RANK.pt."""
    torch.set_num_threads(1)
    out, world = Path(sys.argv[1]), distributed.join("cpu")
    for name in SETTINGS:
        by_name = gradients(build(name, out / f"{name}-run", world))
        torch.save(by_name, out / f"{name}-{os.environ['RANK']}.pt")
    distributed.leave()


if __name__ == "__main__":
    main()
