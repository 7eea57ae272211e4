"""Two models' samples against the same held-out images: `python -m gan.evaluation.compare`.

The gate of flows.promote runs this. It is no stage of dvc.yaml, because git says which model is the
champion. It reads samples, not generators, so it can compare a champion whose network this version can no
longer build.
"""

import sys
from pathlib import Path

import torch

from gan import devices, files, seeds
from gan import params as parameters
from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.evaluation.feature_extraction import extract, load_extractor, pick
from gan.evaluation.feature_metrics import standardise
from gan.evaluation.kernel_distance import compare
from gan.stage import run

MOST = 10_000  # images of a set; more would hardly narrow the interval
LEAST = 3


def main() -> None:
    """Write the comparison as JSON.

    Arguments: the extractor, the held-out images, the candidate's samples, the champion's samples, the file
    to write. Raises UserError if the images have different shapes.
    """
    extractor_file, held_out_file, candidate_file, champion_file, target = map(Path, sys.argv[1:])
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    extractor, _ = load_extractor(extractor_file, device)
    paths = {"held out": held_out_file, "candidate": candidate_file, "champion": champion_file}
    images = {name: torch.from_numpy(read_arrays(path).images) for name, path in paths.items()}
    shapes = {name: "×".join(map(str, arrays.shape[1:])) for name, arrays in images.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(
            "the images are of different shapes, so the models cannot be compared: "
            + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        )
    if few := [name for name, arrays in images.items() if len(arrays) < LEAST]:
        raise UserError(f"fewer than {LEAST} images to compare: {', '.join(few)}")
    rows = {
        name: pick(len(arrays), min(len(arrays), MOST), seeds.generator(params.evaluate.seed, name))
        for name, arrays in images.items()
    }
    features = [extract(extractor, images[name][rows[name]], device) for name in paths]
    result: dict[str, object] = {"n": {name: len(arrays) for name, arrays in rows.items()}}
    for kind in ("semantic", "texture"):
        sets = standardise(*(getattr(feature_set, kind) for feature_set in features))
        rng = seeds.generator(params.evaluate.seed, "jackknife", kind == "texture")
        result[kind] = {
            name: float(f"{value:.6g}") for name, value in compare(sets[0], sets[1], sets[2], rng).items()
        }
    result["extractor_sha256"] = files.sha256_file(extractor_file)
    files.write_json(target, result)


if __name__ == "__main__":
    run("compare", main, stage=False)
