"""Stage train: the alternating training of generator and discriminator, resumable at any step."""

import hashlib
import json
import platform
import shutil
from pathlib import Path

import pandas as pd
import torch

from gan import devices, files
from gan import params as parameters
from gan.data.arrays import read_arrays
from gan.networks.files import save
from gan.params import Params
from gan.stage import Progress, run, say
from gan.training.loop import COLUMNS, Loop

TRAIN_SET = Path("data/prepared/train.safetensors")


def main() -> None:
    """Train, then put snapshots, final weights, grids and the log in place."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    images = torch.from_numpy(read_arrays(TRAIN_SET).images)
    name = f"train-{fingerprint(params, device)}"
    folder = files.RUNS / name
    loop = Loop(params.network, params.train, images, folder, device)
    shape = "×".join(map(str, images.shape[1:]))
    say("train", f"{len(images)} images {shape} on {device}, {loop.total} steps of {params.train.batch_size}")
    result = loop.run(Progress("train", loop.total, "step").update)
    export(loop, result.log)
    describe_run(name, device, result.images_per_second)
    shutil.rmtree(folder)
    say("train", f"{result.images_per_second:.0f} images/s; models/final.safetensors, models/snapshots")


def fingerprint(params: Params, device: str) -> str:
    """Name the state of this very training: same params, data, code, torch, device."""
    parts = [params.network.model_dump_json(), params.train.model_dump_json(), device, torch.__version__]
    sources = sorted(Path(__file__).parent.parent.rglob("*.py"))
    parts += [files.sha256_file(path) for path in [TRAIN_SET, *sources]]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def export(loop: Loop, log: list[list[float]]) -> None:
    """Copy the kept snapshots and grids into the outs and write the log and the final weights."""
    for source, out in (("snapshots", "models/snapshots"), ("fixed_latents", "reports/fixed_latents")):
        with files.fresh_folder(Path(out)) as target:
            for path in sorted((loop.folder / source).iterdir()):
                shutil.copyfile(path, target / path.name)
    frame = pd.DataFrame(log, columns=list(COLUMNS)).astype({"step": int})
    files.write_text(Path("reports/training.csv"), frame.to_csv(index=False, float_format="%.6g"))
    save(Path("models/final.safetensors"), loop.models(), loop.config())


def describe_run(name: str, device: str, images_per_second: float) -> None:
    """Write what varies between identical runs to `.runs/`, where neither git nor DVC looks."""
    hardware = (
        torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    )
    facts = {
        "host": platform.node(),
        "hardware": hardware,
        "torch": torch.__version__,
        "images_per_second": round(images_per_second, 1),
    }
    files.write_text(files.RUNS / f"{name}.json", json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    run("train", main)
