"""What tests/test_portable.py runs on several processors: stages, steps of training, colour conversions.

One process does all of it, since an emulated one takes most of its time to import torch. It imports
nothing of the other tests for the same reason.
"""

import hashlib
import json
import runpy
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("download", "prepare", "validate", "train", "extractor", "select", "sample", "evaluate", "report")
OUTS = ("data", "models", "reports", "samples")
# Small enough for an emulated processor; every kernel is as in a long run. Enough images for each metric.
TINY = {
    "network__base_channels": 8,
    "train__batch_size": 32,
    "train__max_steps": 6,
    "train__log_every": 2,
    "train__snapshots": 2,
    "extractor__steps": 8,
    "extractor__batch_size": 32,
    "select__samples": 64,
    "sample__count": 64,
    "sample__grid_size": 4,
    "sample__pngs": 2,
    "sample__interpolations": 2,
    "sample__frames": 4,
    "evaluate__max_images": 64,
}
# Changes of recipes/digits.yaml: each architecture, objective, penalty and augmentation is in one of them.
COLOUR = {"channels": 3, "batch_size": 16}
LIGHT = {"network__base_channels": 8, "batch_size": 16}
CASES: dict[str, dict[str, object]] = {
    "digits": {"batch_size": 32},
    "cifar10": {**COLOUR, "network__base_channels": 32},
    "residual": {
        **LIGHT,
        "network__architecture": "resnet",
        "network__spectral_norm": True,
        "objective": "hinge",
        "d_steps": 2,
    },
    "mlp": {"network__architecture": "mlp", "batch_size": 32, "objective": "minimax", "label_smoothing": 0.1},
    "r1 and r2": {**LIGHT, "objective": "non_saturating", "r1_gamma": 1.0, "r2_gamma": 1.0},
    "gradient penalty": {
        **COLOUR,
        "network__base_channels": 8,
        "objective": "wasserstein",
        "gradient_penalty": 10.0,
        "augment_color": 0.5,
        "augment_cutout": 0.3,
        "instance_noise": 0.1,
    },
    "residual, r1": {
        **LIGHT,
        "network__architecture": "resnet",
        "objective": "relativistic",
        "r1_gamma": 1.0,
        "lr_decay_factor": 0.9,
    },
    "no norm": {
        **LIGHT,
        "network__architecture": "residual",
        "objective": "relativistic",
        "r1_gamma": {"from": 2.0, "to": 0.5, "over": 40},
        "learning_rate": {"from": 1e-3, "to": 5e-4, "over": 40},
        "beta2": {"from": 0.9, "to": 0.99, "over": 40},
        "accumulate": 2,
        "augment_share": {"from": 0.0, "to": 0.5, "over": 40},
    },
    "projected": {
        "channels": 3,
        "batch_size": 4,
        "network__architecture": "projected",
        "network__base_channels": 8,
        "network__spectral_norm": True,
        "objective": "hinge",
        "augment_color": 1.0,
        "augment_cutout": 0.5,
    },
    "dense, 5x5": {
        **LIGHT,
        "network__kernel_size": 5,
        "network__dense_units": 64,
        "network__generator_activation": "leaky_relu",
        "network__latent_distribution": "uniform",
        "objective": "least_squares",
        "augment_target": 0.6,
    },
}
IMAGES = 256
STEPS = 2  # after the first one Adam has moved each weight by its rate: rounding hardly shows in it


def stages(names: list[str]) -> None:
    """Run stages in the working folder, one after another in this process."""
    for name in names:
        print(name, file=sys.stderr, flush=True)
        runpy.run_module(f"gan.stages.{name}", run_name="__main__", alter_sys=True)


def outs(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that the stages made, by its name."""
    paths = [path for out in OUTS for path in sorted((folder / out).rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): _sha256(path.read_bytes()) for path in paths}


def steps(threads: int, names: list[str]) -> None:
    """Train each case for some steps; print a line of JSON: the sha256 of networks, moments and losses."""
    from gan import devices

    devices.prepare("cpu", threads)
    for name in names:
        print(json.dumps({name: _trained(**CASES[name])}), flush=True)


def _trained(channels: int = 1, **changes: object) -> dict[str, str]:
    import torch

    from gan.params import Network, Train, load
    from gan.training.feed import Data
    from gan.training.loop import Loop
    from gan.training.resume_state import optimiser_tensors

    params = load(ROOT / "recipes" / "digits.yaml")
    network = {key[9:]: value for key, value in changes.items() if key.startswith("network__")}
    train = {key: value for key, value in changes.items() if not key.startswith("network__")}
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, channels, 32, 32), generator=rng, dtype=torch.uint8)
    folder = Path(tempfile.mkdtemp())
    loop = Loop(
        Network.model_validate({**params.network.model_dump(), **network}),
        Train.model_validate({**params.train.model_dump(), **train}),
        Data(images, torch.arange(IMAGES) % 10, 10),
        folder,
        "cpu",
    )
    for _ in range(STEPS):
        loop.advance()
    shutil.rmtree(folder)
    tensors = {
        **loop.models(),
        **optimiser_tensors(loop.trainer.optimiser_g, "optimiser_g"),
        **optimiser_tensors(loop.trainer.optimiser_d, "optimiser_d"),
        "losses.sums": loop.sums,
    }
    contents: dict[str, list[bytes]] = {}
    for name, tensor in sorted(tensors.items()):
        contents.setdefault(name.partition(".")[0], []).append(tensor.contiguous().numpy().tobytes())
    return {prefix: _sha256(b"".join(content)) for prefix, content in contents.items()}


def colours(folder: str) -> None:
    """Prepare each file of a folder; print a line of JSON: its name, the sha256 of its pixels, its note."""
    from gan.prepare.decoding.decode import Shape, prepare_image

    for path in sorted(Path(folder).iterdir()):
        facts: dict[str, object] = {}
        pixels, _ = prepare_image(path.read_bytes(), Shape(32, "stretch", False, 50_000_000), facts)
        print(json.dumps({path.name: [_sha256(pixels.tobytes()), str(facts.get("note"))]}), flush=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """``stages NAME…``, ``steps THREADS CASE…`` or ``colours FOLDER``."""
    what, *rest = sys.argv[1:]
    if what == "stages":
        del sys.argv[1:]  # a stage takes none
        stages(rest)
    elif what == "colours":
        colours(rest[0])
    else:
        steps(int(rest[0]), rest[1:])


if __name__ == "__main__":
    main()
