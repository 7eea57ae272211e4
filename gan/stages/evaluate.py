"""Stage evaluate: compare samples with held-out images, beside what real images would score."""

from pathlib import Path

import pandas as pd
import torch

from gan import devices, files, seeds
from gan import params as parameters
from gan.data.arrays import Arrays, Labels, read_arrays
from gan.errors import UserError
from gan.evaluation import metrics
from gan.evaluation.features import Features, extract, load_extractor, pick
from gan.stage import run, say

EXTRACTOR = Path("models/extractor.safetensors")


def main() -> None:
    """Write reports/metrics.json and the class histogram."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    extractor, classes = load_extractor(EXTRACTOR, device)
    held_out = read_arrays(Path("data/prepared/test.safetensors"))
    train = read_arrays(Path("data/prepared/train.safetensors"))
    drawn = read_arrays(Path("samples/samples.safetensors"))
    n = min(len(arrays.images) for arrays in (held_out, train, drawn))
    if n <= params.evaluate.nearest_k:
        raise UserError(
            f"params.yaml: evaluate.nearest_k: {params.evaluate.nearest_k}: needs more images than that, "
            f"and {n} can be compared; lower it, or hold out more (data.test_fraction)"
        )

    def rows(name: str, arrays: Arrays) -> torch.Tensor:
        return pick(len(arrays.images), n, seeds.generator(params.evaluate.seed, name))

    everything = extract(extractor, torch.from_numpy(drawn.images), device)
    features = [
        extract(extractor, torch.from_numpy(arrays.images)[rows(name, arrays)], device)
        for name, arrays in (("held out", held_out), ("train", train))
    ]
    features.append(everything[rows("samples", drawn)])
    rng = seeds.generator(params.evaluate.seed, "jackknife")
    found: dict[str, object] = {"n": n, **compare(features, params.evaluate.nearest_k, rng)}
    if classes is not None and held_out.labels is not None:
        found["label_divergence"] = write_classes(classes, held_out.labels, everything)
    else:
        files.write_text(Path("reports/classes.csv"), "class,held_out,generated\n")
    found["extractor_sha256"] = files.sha256_file(EXTRACTOR)
    files.write_json(Path("reports/metrics.json"), found)
    say("evaluate", "  ".join(f"{key} {value}" for key, value in found.items() if isinstance(value, float)))


def compare(features: list[Features], nearest_k: int, rng: torch.Generator) -> dict[str, float]:
    """Hold samples against held-out images, given the features of held-out, training and drawn images.

    ``_sd``: the standard deviation by which a figure would vary with other images. ``_floor``: training
    images in the samples' place, the same n. A Fréchet distance of n images is biased upward by about
    d/n, so it is read beside its floor.
    """
    held_out, train, drawn = features
    found: dict[str, float] = {}
    for kind in ("semantic", "texture"):
        real, other, fake = metrics.standardise(*(getattr(part, kind) for part in features))
        found[f"fd_{kind}"] = metrics.frechet_distance(real, fake)
        found[f"fd_{kind}_sd"] = metrics.frechet_distance_sd(real, fake, rng)
        found[f"fd_{kind}_floor"] = metrics.frechet_distance(real, other)
    for suffix, part in (("", drawn), ("_floor", train)):
        precision, recall = metrics.precision_recall(held_out.semantic, part.semantic, nearest_k)
        found |= {f"precision{suffix}": precision, f"recall{suffix}": recall}
    for name in ("precision", "recall"):
        found[f"{name}_sd"] = metrics.share_sd(found[name], len(held_out.semantic))
    return {name: _rounded(value) for name, value in found.items()}


def write_classes(classes: tuple[str, ...], labels: Labels, drawn: Features) -> float:
    """Write each class's share, held out and as the extractor sees the samples; return the divergence."""
    real = metrics.histogram(torch.as_tensor(labels), len(classes))
    fake = metrics.histogram(drawn.predicted, len(classes))
    frame = pd.DataFrame({"class": classes, "held_out": real, "generated": fake})
    files.write_text(Path("reports/classes.csv"), frame.to_csv(index=False, float_format="%.6g"))
    return _rounded(metrics.jensen_shannon(real, fake))


def _rounded(value: float) -> float:
    """Six digits: more are noise, and differ between processors."""
    return float(f"{value:.6g}")


if __name__ == "__main__":
    run("evaluate", main)
