"""What each trick does for the samples: train with it alone, with all together, with several seeds.

    python -m benchmarks.quality --recipe recipes/cifar10.yaml --steps 8000 --seeds 3 --out DIR

Run it after `dvc repro extractor`: it reads data/prepared and models/extractor.safetensors. Every
training sees the same number of images with networks of the same width. Rows are written as they
come; a run that was stopped goes on where it was.
"""

import argparse
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.plain import PLAIN
from gan import devices, files, seeds
from gan import params as parameters
from gan.data import images
from gan.data.arrays import read_arrays
from gan.evaluation import feature_metrics
from gan.evaluation.feature_extraction import Features, extract, load_extractor, pick
from gan.evaluation.precision_recall import compare
from gan.evaluation.sampling import generate, sample_inputs
from gan.networks.model_file import load_generator
from gan.params import Params
from gan.stage import run, say
from gan.training.feed import Data
from gan.training.loop import Loop

FIGURES = ("fd_semantic", "fd_texture", "precision", "recall")
# Each is what it changes in the plain recipe.
TRICKS: dict[str, dict[str, dict[str, Any]]] = {
    "weight average (EMA)": {"train": {"ema_decay": 0.999}},
    "class-conditional": {"network": {"conditional": True}},
    "augmentation (shift)": {"train": {"augment_shift": 4}},
    "augmentation (adaptive)": {
        "train": {"augment_shift": 4, "augment_color": 1.0, "augment_cutout": 0.5, "augment_target": 0.6}
    },
    "label smoothing": {"train": {"label_smoothing": 0.1}},
    "instance noise": {"train": {"instance_noise": 0.1}},
    "slower discriminator (TTUR)": {"train": {"learning_rate_d": 1e-4}},
    "R1": {"train": {"r1_gamma": 0.1}},
    "spectral norm, hinge": {"network": {"spectral_norm": True}, "train": {"objective": "hinge"}},
    "least squares": {"train": {"objective": "least_squares"}},
    "Wasserstein, gradient penalty": {"train": {"objective": "wasserstein", "gradient_penalty": 10.0}},
    "relativistic, R1, R2": {"train": {"objective": "relativistic", "r1_gamma": 0.1, "r2_gamma": 0.1}},
    "residual networks, R1": {"network": {"architecture": "resnet"}, "train": {"r1_gamma": 0.1}},
}


def main() -> None:
    """Train what is missing in DIR/runs.csv, then write DIR/table.md."""
    options = _options()
    recipe = parameters.load(options.recipe)
    device = devices.prepare(recipe.train.device, recipe.train.threads, recipe.train.precision)
    scorer = Scorer(options.prepared, options.extractor, device, recipe)
    say("quality", f"real images in the samples' place: {scorer.floor}")
    for name, changes in {"plain": {}, "all together": None, **TRICKS}.items():
        if not options.only or name in options.only:
            measure(scorer, name, recipe, changes, options)
    files.write_text(options.out / "table.md", table(pd.read_csv(options.out / "runs.csv")))


def measure(
    scorer: "Scorer", name: str, recipe: Params, changes: dict[str, Any] | None, options: argparse.Namespace
) -> None:
    """Train one setting with the seeds that DIR/runs.csv lacks, and add their rows to it."""
    wanted = [seed for seed in range(options.seeds) if not _done(options.out, name, seed)]
    params = [changed(recipe, changes, seed, options.steps) for seed in wanted]
    for seed, scores in zip(wanted, scorer.train_and_score(params, options.out / f"{name}.png"), strict=True):
        row = {"setting": name, "seed": seed, **scores}
        append(options.out / "runs.csv", row)
        say("quality", "  ".join(f"{key} {value}" for key, value in row.items()))


def changed(recipe: Params, changes: dict[str, dict[str, Any]] | None, seed: int, steps: int) -> Params:
    """Return the plain recipe with ``changes``; None stands for the tuned recipe itself."""
    values = recipe.model_dump(by_alias=True)
    for section in ("network", "train"):
        if changes is not None:
            values[section] |= PLAIN[section] | changes.get(section, {})
    # The same number of images, whatever the batch and however many of them D sees a step.
    steps = (
        steps * PLAIN["train"]["batch_size"] // (values["train"]["batch_size"] * values["train"]["d_steps"])
    )
    values["train"] |= {"seed": seed, "max_steps": steps, "epochs": 10**6, "snapshots": 1, "log_every": 500}
    values["train"] |= {"checkpoint_seconds": 3600.0, "on_divergence": "stop"}
    return Params.model_validate(values)


class Scorer:
    """The prepared data and its features, read once."""

    def __init__(self, prepared: Path, extractor: Path, device: str, recipe: Params) -> None:
        self.device = device
        self.precision = devices.precision(recipe.train.precision, device)
        train, test = (read_arrays(prepared / f"{half}.safetensors") for half in ("train", "test"))
        self.data = Data.of(train)
        self.extractor, _ = load_extractor(extractor, device)
        self.held_out_images = torch.from_numpy(test.images)
        self.held_out = extract(self.extractor, self.held_out_images, device)
        rows = pick(len(train.images), len(test.images), seeds.generator(0, "train"))
        self.floor = self.score(extract(self.extractor, self.data.images[rows], device))

    def score(self, other: Features) -> dict[str, float]:
        """Return distances, precision and recall of ``other`` against the held-out images."""
        scores = {}
        for kind in ("semantic", "texture"):
            real, fake = feature_metrics.standardise(getattr(self.held_out, kind), getattr(other, kind))
            scores[f"fd_{kind}"] = float(f"{feature_metrics.frechet_distance(real, fake):.4g}")
        few = slice(0, 5000)  # precision and recall compare all pairs
        manifold = compare(self.held_out.semantic[few], other.semantic[few], 3)
        pair = manifold.precision, manifold.recall
        return scores | dict(zip(("precision", "recall"), (round(v, 3) for v in pair), strict=True))

    def train_and_score(self, params: list[Params], grid: Path) -> list[dict[str, Any]]:
        """Train by each of ``params``, score as many samples as there are held-out images."""
        with tempfile.TemporaryDirectory() as folder:
            loops = [
                Loop(
                    each.network,
                    each.train,
                    self.data,
                    Path(folder) / str(i),
                    self.device,
                    precision=self.precision,
                )
                for i, each in enumerate(params)
            ]
            started = time.monotonic()
            train_side_by_side(loops, self.device)
            seconds = time.monotonic() - started
            return [{**self.judge(loop, grid), "seconds_together": round(seconds, 1)} for loop in loops]

    def judge(self, loop: Loop, grid: Path, reference: "Reference | None" = None) -> dict[str, Any]:
        """Score the samples of a trained loop, by FID too where asked; keep the first seed's grid."""
        loop.snapshot()
        (snapshot,) = (loop.folder / "snapshots").iterdir()
        generator = load_generator(snapshot)
        drawn = generate(
            generator.model, sample_inputs(generator, len(self.held_out.semantic), 0), self.device
        )
        if loop.train.seed == 0:
            images.write_png(grid, images.grid(drawn[:100].numpy(), 10))
        return {
            **self.score(extract(self.extractor, drawn, self.device)),
            **({} if reference is None else {"fid": reference.distance(drawn)}),
            "images": loop.step * loop.per_step,
        }


class Reference:
    """Inception's features of the held-out images: distances in them are FID (Heusel 2017)."""

    def __init__(self, network: torch.nn.Module, held_out: torch.Tensor, device: str) -> None:
        self.network, self.device = network, device
        self.held_out = extract(network, held_out, device).semantic

    def distance(self, drawn: torch.Tensor) -> float:
        """Return the Fréchet distance of uint8 images (N, C, H, W) from the held-out ones."""
        other = extract(self.network, drawn, self.device).semantic
        return float(f"{feature_metrics.frechet_distance(self.held_out, other):.4g}")


def train_side_by_side(loops: list[Loop], device: str) -> None:
    """Train several models at once, each on a CUDA stream of its own: one alone does not fill a GPU."""
    streams = [torch.cuda.Stream() for _ in loops] if device == "cuda" else []
    _wait(device)
    for _ in range(max((loop.total for loop in loops), default=0)):
        for i, loop in enumerate(loops):
            with torch.cuda.stream(streams[i]) if streams else nullcontext():
                if loop.step < loop.total:
                    loop.advance()
    _wait(device)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _done(out: Path, name: str, seed: int) -> bool:
    if not (out / "runs.csv").is_file():
        return False
    rows = pd.read_csv(out / "runs.csv")
    return bool(((rows["setting"] == name) & (rows["seed"] == seed)).any())


def append(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a CSV file."""
    before = [pd.read_csv(path)] if path.is_file() else []
    files.write_text(path, pd.concat([*before, pd.DataFrame([row])]).to_csv(index=False))


def spread(values: "pd.Series[float]") -> str:
    """Return mean ± standard deviation; one value alone has none."""
    return f"{values.mean():.3g}" + (f" ± {values.std():.2g}" if len(values) > 1 else "")


def table(rows: pd.DataFrame) -> str:
    """Return a Markdown table: a row a setting, mean ± standard deviation over the seeds."""
    lines = ["| setting | fd_semantic | fd_texture | precision | recall | n |", "|---|---|---|---|---|---|"]
    for name, group in rows.groupby("setting", sort=False):
        cells = [spread(group[key]) for key in FIGURES]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(group)} |")
    return "\n".join(lines) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--recipe", type=Path, required=True, help="the tuned recipe: all together")
    parser.add_argument("--steps", type=int, default=8000, help="batches that D sees in each training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", help="only this setting (may be given again)")
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--extractor", type=Path, default=Path("models/extractor.safetensors"))
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run("quality", main, lock=False, stage=False)
