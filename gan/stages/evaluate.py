"""Stage evaluate: compare samples with held-out images, beside what real images would score."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from gan import devices, files, seeds
from gan import params as parameters
from gan.data.arrays import Arrays, read_arrays
from gan.errors import UserError
from gan.evaluation import copies, probe, scores, smoothness
from gan.evaluation.features import Features, extract, load_extractor, pick
from gan.evaluation.intervals import normal
from gan.evaluation.metrics import deviations
from gan.evaluation.pictures import write_neighbours
from gan.evaluation.reference import is_published_inception, load_reference
from gan.evaluation.scores import Scores
from gan.networks.extractor import Extractor
from gan.networks.files import load, load_generator
from gan.params import Evaluate
from gan.stage import run, say

EXTRACTOR = Path("models/extractor.safetensors")
GENERATOR = Path("models/generator.safetensors")
TOLD = ("fd_semantic", "fd_texture", "precision", "recall", "label_divergence", "memorised")
PATHS = 1000  # of which the smoothness is a mean, at most


@dataclass(frozen=True)
class Set:
    """Images, the rows of them that are compared, in random order, and those rows' features."""

    arrays: Arrays
    rows: torch.Tensor
    features: Features

    @property
    def images(self) -> torch.Tensor:
        """All images, uint8 (N, C, H, W)."""
        return torch.from_numpy(self.arrays.images)

    def first(self, n: int) -> Features:
        """Return the features of ``n`` random images."""
        return self.features[:n]


def main() -> None:
    """Write reports/metrics.json, the class histogram, and reports/neighbours/."""
    params = parameters.load()
    evaluate = params.evaluate
    device = devices.prepare(params.train.device, params.train.threads)
    extractor, classes = load_extractor(EXTRACTOR, device)
    own = evaluate.features == "extractor"
    network = extractor if own else load_reference(evaluate, device)
    places = {
        "held out": "data/prepared/test.safetensors",
        "train": "data/prepared/train.safetensors",
        "samples": "samples/samples.safetensors",
    }
    arrays = {name: read_arrays(Path(place)) for name, place in places.items()}
    n = min(evaluate.max_images, *(len(found.images) for found in arrays.values()))
    least = max(evaluate.nearest_k + 1, scores.LEAST)
    if n < least:
        raise UserError(
            f"params.yaml: evaluate.nearest_k: {evaluate.nearest_k}: needs {least} images or more of each "
            f"set, and {n} can be compared; lower it, or hold out more (data.test_fraction)"
        )
    sets = [see(network, found, name, evaluate, device) for name, found in arrays.items()]
    found = Scores()
    compare(found, sets, n, evaluate)
    look_for_copies(found, sets, n, evaluate)
    if classes is not None and sets[0].arrays.labels is not None:
        by_class(found, sets, classes, extractor, evaluate, device)
    else:
        files.write_text(Path("reports/classes.csv"), "class,held_out,generated\n")
    walk(found, extractor, sets[0], evaluate, device)
    if is_published_inception(evaluate):
        found.found["fid"] = found.found["fd_semantic"]
    scorer = files.sha256_file(EXTRACTOR) if own else evaluate.weights_sha256
    result = {"n": n, **found.found, "extractor_sha256": scorer, "features": evaluate.features}
    files.write_json(Path("reports/metrics.json"), result)
    say("evaluate", "  ".join(f"{key} {found.found[key]}" for key in TOLD if key in found.found))


def see(network: nn.Module, arrays: Arrays, name: str, evaluate: Evaluate, device: str) -> Set:
    """Look at a random choice of images, at most ``evaluate.max_images``, through the network."""
    rows = pick(len(arrays.images), evaluate.max_images, seeds.generator(evaluate.seed, name))
    return Set(arrays, rows, extract(network, torch.from_numpy(arrays.images), device, rows))


def compare(found: Scores, sets: list[Set], n: int, evaluate: Evaluate) -> None:
    """Add what compares ``n`` samples with as many held-out images; floor: training images."""
    features = [part.first(n) for part in sets]
    held_out, train, drawn = features
    raw = evaluate.features != "extractor"
    rng = seeds.generator(evaluate.seed, "jackknife")
    scores.distances(found, held_out, train, drawn, raw, rng)
    scores.neighbourhoods(found, held_out, train, drawn, evaluate.nearest_k, rng)


def look_for_copies(found: Scores, sets: list[Set], n: int, evaluate: Evaluate) -> None:
    """Add what tells of copies, and write reports/neighbours/; without enough images its table is empty."""
    held_out, train, drawn = sets
    kinds: dict[str, copies.Copies] = {}
    if min(len(part.rows) for part in sets) >= max(scores.CALIBRATES, evaluate.nearest_k + 2):
        for key, seen in (
            ("memorised", [part.features.semantic for part in (train, held_out, drawn)]),
            (
                "memorised_pixels",
                [copies.pixels(part.images, part.rows) for part in (train, held_out, drawn)],
            ),
        ):
            kinds[key] = copies.memorised(seen[0], seen[1], seen[2], evaluate.nearest_k)
    scores.copies(found, kinds)
    scores.duplicates(found, train.features.semantic[:n], drawn.features.semantic[:n])
    with files.fresh_folder(Path("reports/neighbours")) as folder:
        if kinds:
            shown = [(part.arrays.images, part.rows) for part in (drawn, train)]
            write_neighbours(folder, shown[0], shown[1], kinds, files.sha256_file(GENERATOR))
        else:
            files.write_text(folder / "neighbours.csv", "sample\n")


def by_class(
    found: Scores,
    sets: list[Set],
    classes: tuple[str, ...],
    extractor: Extractor,
    evaluate: Evaluate,
    device: str,
) -> None:
    """Add what needs classes, and write reports/classes.csv."""
    held_out, train, drawn = sets
    rng = seeds.generator(evaluate.seed, "classes")
    n = min(len(part.rows) for part in sets)
    scores.class_score(found, train.first(n), drawn.first(n), rng)
    known, fake = train.features, drawn.features
    if evaluate.features != "extractor":  # only our own knows these classes
        known, fake = (extract(extractor, part.images, device, part.rows) for part in (train, drawn))
    labels = torch.from_numpy(held_out.arrays.labels)
    shares = scores.classes(found, labels, known, fake, len(classes), rng)
    frame = pd.DataFrame({"class": classes, **shares})
    files.write_text(Path("reports/classes.csv"), frame.to_csv(index=False, float_format="%.6g"))
    linear_probe(found, sets, len(classes), evaluate, device)


def linear_probe(found: Scores, sets: list[Set], classes: int, evaluate: Evaluate, device: str) -> None:
    """Add how well a linear classifier of the discriminator's features does on held-out images."""
    held_out, train, _ = sets
    rows = train.rows[: probe.MOST_TRAINING]
    discriminator = probe.load_discriminator(*load(Path("models/final.safetensors")))
    known, asked = (
        probe.activations(discriminator, part.images, device, chosen)
        for part, chosen in ((train, rows), (held_out, held_out.rows))
    )
    labels = [torch.from_numpy(part.arrays.labels) for part in (train, held_out)]
    rng = seeds.generator(evaluate.seed, "probe")
    guessed = probe.classify(known, labels[0][rows], asked, classes, rng)
    scores.share(found, "probe_accuracy", guessed == labels[1][held_out.rows])


def walk(found: Scores, extractor: Extractor, held_out: Set, evaluate: Evaluate, device: str) -> None:
    """Add how smoothly images change between latents, always through our own extractor."""
    generator = load_generator(GENERATOR)
    seen = held_out.features if evaluate.features == "extractor" else None
    real = seen or extract(extractor, held_out.images, device, held_out.rows)
    scale = deviations(real.semantic)
    count = min(PATHS, evaluate.max_images)
    lengths = smoothness.path_lengths(generator, extractor, scale, count, evaluate.seed, device)
    value, sd = smoothness.trimmed(lengths)
    found.put("path_smoothness", value, normal(value, sd, 0.0), sd)


if __name__ == "__main__":
    run("evaluate", main)
