"""Few images: recipes/few.yaml beside a DCGAN with the same augmentation, for equal processor seconds.

    python -m benchmarks.few --classes horse ship --count 100 --seconds 600 --out DIR

Run it after `dvc repro extractor` on a set of 64×64 pixels with classes: it reads data/prepared and
models/extractor.safetensors. Each trains on the same ``--count`` images, which all classes share. Samples
are compared with the held-out images of these classes, and the floor is that of the whole training half of
them. The seconds are those of one processor. Rows are added to DIR/few.csv, a grid of each stands beside.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import options
from benchmarks.machine import describe
from benchmarks.quality import append
from benchmarks.trainings import ROOT, changed, revision, training
from gan import devices, seeds
from gan import params as parameters
from gan.data import images
from gan.data.arrays import Arrays, read_arrays
from gan.errors import UserError
from gan.evaluation import copies, scores
from gan.evaluation.feature_extraction import Features, extract, load_extractor, pick
from gan.evaluation.sampling import generate, sample_inputs
from gan.networks.model_file import load_generator
from gan.params import Params
from gan.stage import run, say
from gan.training.feed import Data

AUGMENTED = ("augment_shift=8", "augment_color=1.0", "augment_cutout=0.5")
DCGAN = [f"train.{change}" for change in ("batch_size=32", *AUGMENTED)]
NEAREST = 3  # neighbours, as evaluate.nearest_k
FIGURES = ("kd_semantic", "fd_semantic", "kd_texture", "fd_texture", "memorised", "memorised_pixels")


def main() -> None:
    """Train and score what is asked for, a row each."""
    asked = _options()
    device = devices.prepare("cpu", 1, "fp32")
    judge = Judge(asked, device)
    recipes = {
        "few": changed(parameters.load(ROOT / "recipes" / "few.yaml"), asked.set),
        "dcgan": changed(parameters.load(ROOT / "recipes" / "celeba64.yaml"), [*DCGAN, *asked.set]),
    }
    for name in asked.only or recipes:
        row = measure(name, recipes[name], judge, asked)
        append(asked.out / "few.csv", row)
        say("few", "  ".join(f"{key} {value}" for key, value in row.items()))


class Judge:
    """The images of the classes, and the features of those that samples are compared with."""

    def __init__(self, asked: argparse.Namespace, device: str) -> None:
        self.device = device
        halves = [read_arrays(asked.prepared / f"{half}.safetensors") for half in ("train", "test")]
        train, self.held_out_images = (of_classes(half, asked.classes) for half in halves)
        if len(train) < asked.count:
            raise UserError(f"--count {asked.count}: there are {len(train)} images of these classes")
        self.images = train[pick(len(train), asked.count, seeds.generator(0, "few"))]
        self.extractor, _ = load_extractor(asked.extractor, device)
        self.train, self.held_out, self.others = map(self.see, (self.images, self.held_out_images, train))
        self.compared = min(len(train), len(self.held_out_images))

    def see(self, seen: torch.Tensor) -> Features:
        """Return the features of uint8 images (N, C, H, W)."""
        return extract(self.extractor, seen, self.device)

    def score(self, drawn: torch.Tensor) -> dict[str, float]:
        """Return the figures of uint8 samples (N, C, H, W), each with its floor."""
        features, rng = self.see(drawn), seeds.generator(0, "jackknife")
        figures, n = scores.Scores(), self.compared
        scores.distances(figures, self.held_out[:n], self.others[:n], features[:n], False, rng)
        train, held_out, sampled = (
            copies.pixels(each, torch.arange(len(each)))
            for each in (self.images, self.held_out_images, drawn)
        )
        semantic = self.train.semantic, self.held_out.semantic, features.semantic
        kinds = {
            "memorised": copies.memorised(*semantic, nearest_k=NEAREST),
            "memorised_pixels": copies.memorised(train, held_out, sampled, NEAREST),
        }
        scores.copies(figures, kinds)
        keys = [f"{key}{suffix}" for key in FIGURES for suffix in ("", "_floor")]
        return {key: figures.values[key] for key in keys}


def of_classes(arrays: Arrays, wanted: list[str]) -> torch.Tensor:
    """Return the images of the classes, uint8 (N, C, H, W), in random order."""
    names = arrays.classes or ()
    if missing := set(wanted) - set(names):
        raise UserError(f"--classes {' '.join(sorted(missing))}: none of {', '.join(names)}")
    chosen = torch.isin(torch.from_numpy(arrays.labels), torch.tensor([names.index(name) for name in wanted]))
    rows = chosen.nonzero().flatten()
    order = pick(len(rows), len(rows), seeds.generator(0, "order"))
    return torch.from_numpy(arrays.images)[rows[order]]


def measure(name: str, recipe: Params, judge: Judge, asked: argparse.Namespace) -> dict[str, Any]:
    """Train once and return its row."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        loop = training(recipe, Data(judge.images), folder, judge.device, asked.seed)
        started = time.process_time()
        while time.process_time() - started < asked.seconds:
            loop.advance()
        seconds = time.process_time() - started
        loop.snapshot()
        (snapshot,) = (folder / "snapshots").iterdir()
        generator = load_generator(snapshot)
        inputs = sample_inputs(generator, judge.compared, 0)
        drawn = generate(generator.model, inputs, judge.device)
    images.write_png(asked.out / f"few-{asked.count}-{name}.png", images.grid(drawn[:64].numpy(), 8))
    return {
        "name": name,
        "images": asked.count,
        "classes": " ".join(asked.classes),
        "seed": asked.seed,
        "device": describe(judge.device),
        "seconds": round(seconds, 1),
        "steps": loop.step,
        "images_seen": loop.step * loop.per_step,
        "n": judge.compared,
        **judge.score(drawn),
        "revision": revision(),
        "changes": " ".join(asked.set),
    }


def _options() -> argparse.Namespace:
    parser = options.Parser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--classes", nargs="+", required=True)
    parser.add_argument("--count", type=options.count, required=True, help="training images")
    parser.add_argument("--seconds", type=options.seconds, default=600.0, help="of training, each")
    parser.add_argument("--only", action="append", choices=("few", "dcgan"))
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--extractor", type=Path, default=Path("models/extractor.safetensors"))
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run("few", main, lock=False, stage=False)
