"""Golden curves: the log of two small trainings on the embedded digits, kept in golden.csv.

A change of what training computes shows as another curve. Where it is meant, write them anew:

    python -m tests.training.golden > tests/training/golden.csv
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits

from gan import devices, params
from gan.params import Network, Train
from gan.training.loop import COLUMNS, Data, Loop
from tests.conftest import ROOT, UNPENALISED

CURVES: dict[str, dict[str, object]] = {
    "dcgan": {"network_conditional": False},
    "resnet": {
        "network_architecture": "resnet",
        "network_conditional": True,
        "network_spectral_norm": True,
        "objective": "hinge",
        "augment_shift": 0,
    },
}


def digits() -> Data:
    """The 1,797 digits of scikit-learn: 8×8, each pixel four times as long, at 32×32."""
    loaded = load_digits()
    pixels = (loaded.images * (255 / 16)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    return Data(torch.from_numpy(pixels[:, None]), torch.from_numpy(loaded.target.astype(np.int64)), 10)


def curve(name: str, folder: Path, *, threads: int = 1, **changes: object) -> pd.DataFrame:
    """Train for 30 steps; return the log, a row every 3."""
    devices.prepare("cpu", threads)
    default = params.load(ROOT / "recipes" / "digits.yaml")
    short = {"max_steps": 30, "log_every": 3, "snapshots": 1, "batch_size": 32, "learning_rate": 1e-4}
    values = {"network_base_channels": 8, "network_latent_dim": 16, **short, **CURVES[name], **changes}
    network = {k.removeprefix("network_"): v for k, v in values.items() if k.startswith("network_")}
    train = {k: v for k, v in values.items() if not k.startswith("network_")}
    loop = Loop(
        Network.model_validate({**default.network.model_dump(), **network}),
        Train.model_validate({**default.train.model_dump(), **UNPENALISED, **train}),
        digits(),
        folder,
        "cpu",
    )
    loop.run(lambda *_: None)
    frame = pd.DataFrame(loop.log, columns=list(COLUMNS)).astype({"step": int, "images_seen": int})
    frame.insert(0, "curve", name)
    return frame


def main(**changes: object) -> None:
    """Print both curves as CSV."""
    with tempfile.TemporaryDirectory() as folder:
        frames = [curve(name, Path(folder) / name, **changes) for name in CURVES]
    pd.concat(frames).to_csv(sys.stdout, index=False, float_format="%.7g")


if __name__ == "__main__":
    main()
