"""How fast each recipe trains here, and the memory it takes, on noise of its images' shape.

    python -m benchmarks.recipes --device cuda --steps 100 --out FILE.csv

Each recipe is a process of its own, so that memory is its own. An epoch is what the recipe's data
set has for training. benchmarks/README.md lists all benchmarks.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks import machine, options
from benchmarks.trainings import ROOT, advance, training
from gan import devices
from gan import params as parameters
from gan.errors import UserError
from gan.runtime import memory
from gan.stage import run, say
from gan.training.feed import Data

# Training images of each recipe's data set; the default share of digits' 1,797 is held out.
IMAGES = {"digits": 1438, "mnist": 60_000, "cifar10": 50_000, "celeba": 162_079}
GREY = ("digits", "mnist")
WARMUP = 30  # steps: caches, the choice of kernels, and on a GPU the capture of the graph


def main() -> None:
    """Measure each recipe in a process of its own, add the rows to the CSV file."""
    asked = _options()
    if asked.child:
        print(json.dumps(measure(asked.child, asked.device, asked.steps)))
        return
    rows = []
    for path in asked.recipe or sorted((ROOT / "recipes").glob("*.yaml")):
        rows.append(_child(path, asked))
        say("recipes", "  ".join(f"{key} {value}" for key, value in rows[-1].items()))
        pd.DataFrame(rows).to_csv(asked.out, index=False, lineterminator="\n")


def measure(path: Path, wanted: str, steps: int) -> dict[str, Any]:
    """Return the row of one recipe: images/s, seconds of an epoch, peak memory in MB."""
    recipe = parameters.load(path)
    device = devices.prepare(wanted, recipe.train.threads, recipe.train.precision)
    grey, size = recipe.data.source in GREY, recipe.data.image_size
    count = 4 * recipe.train.batch_size * recipe.train.d_steps
    images = torch.randint(0, 256, (count, 1 if grey else 3, size, size)).to(torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        loop = training(recipe, Data(images, torch.arange(count) % 10, 10), Path(folder), device)
        advance(loop, WARMUP, time.perf_counter)
        speed = steps * loop.per_step / advance(loop, steps, time.perf_counter)
    gpu = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else None
    epoch = IMAGES.get(recipe.data.source)
    return {
        "recipe": path.name,
        "device": machine.describe(device),
        "images_per_second": round(speed, 1),
        "seconds_per_epoch": None if epoch is None else round(epoch / speed, 1),
        "memory_mb": round(memory.peak() / 1e6),
        "gpu_memory_mb": None if gpu is None else round(gpu),
    }


def _child(path: Path, asked: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.recipes", "--child", str(path)]
    command += ["--device", asked.device, "--steps", str(asked.steps), "--out", str(asked.out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UserError(f"{path}: {said[-1] if said else f'ended with exit status {done.returncode}'}")
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _options() -> argparse.Namespace:
    parser = options.Parser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--recipe", type=Path, action="append", help="only this one (may be given again)")
    parser.add_argument("--steps", type=options.count, default=20, help="measured steps")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--out", type=Path, required=True, help="a CSV file")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    run("recipes", main, lock=False, stage=False)
