"""Stage select: score every snapshot against training images and publish the best.

Against training images, so that the held-out ones stay untouched for evaluate.
"""

import shutil

import pandas as pd
import torch

from gan import devices, files, paths, seeds
from gan import params as parameters
from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.evaluation.feature_extraction import extract, load_extractor, pick
from gan.evaluation.feature_metrics import frechet_distance, standardise
from gan.evaluation.sampling import generate, sample_inputs
from gan.networks.model_file import load_generator
from gan.stage import run, say


def main() -> None:
    """Write models/generator.safetensors and the score of each snapshot."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    extractor, _ = load_extractor(paths.EXTRACTOR, device)
    images = torch.from_numpy(read_arrays(paths.TRAIN_SET).images)
    rng = seeds.generator(params.select.seed, "reference")
    real = extract(extractor, images[pick(len(images), params.select.samples, rng)], device)
    rows = []
    for path in sorted(paths.SNAPSHOTS.glob("*.safetensors")):
        generator = load_generator(path)
        inputs = sample_inputs(generator, params.select.samples, params.select.seed, "select")
        fake = extract(extractor, generate(generator.model, inputs, device), device)
        row: dict[str, float] = {"step": int(path.stem.removeprefix("step-"))}
        row["images_seen"] = generator.images_seen
        for kind in ("semantic", "texture"):
            distance = frechet_distance(*standardise(getattr(real, kind), getattr(fake, kind)))
            row[f"fd_{kind}"] = float(f"{distance:.6g}")
        rows.append(row)
        say("select", f"step {row['step']}  fd_semantic {row['fd_semantic']}  fd_texture {row['fd_texture']}")
    if not rows:
        raise UserError(f"{paths.SNAPSHOTS}: holds no snapshot; run `dvc repro train`")
    publish(pd.DataFrame(rows))


def publish(scores: pd.DataFrame) -> None:
    """Copy the snapshot with the least sum of both distances to its published place."""
    total = (scores["fd_semantic"] + scores["fd_texture"]).to_numpy()
    best = int(scores["step"].to_numpy()[total.argmin()])
    scores["selected"] = (scores["step"] == best).astype(int)
    files.write_text(paths.SELECTION, scores.to_csv(index=False))
    with (
        files.atomic_writer(paths.GENERATOR) as target,
        open(paths.SNAPSHOTS / f"step-{best:09d}.safetensors", "rb") as source,
    ):
        shutil.copyfileobj(source, target)
    say("select", f"the snapshot of step {best} is {paths.GENERATOR}")


if __name__ == "__main__":
    run("select", main)
