"""Stage evaluate: compare samples with held-out images, beside the score of real images."""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from gan import devices, files, metric_table, paths, seeds
from gan import params as parameters
from gan.data.arrays import Arrays, read_arrays
from gan.errors import UserError
from gan.evaluation import copies, linear_probe, path_length, scores
from gan.evaluation.feature_extraction import Features, extract, load_extractor, pick
from gan.evaluation.feature_metrics import deviations
from gan.evaluation.intervals import normal
from gan.evaluation.neighbour_pictures import write_neighbours
from gan.evaluation.published_features import checksum, is_published_inception, load_reference
from gan.evaluation.scores import Scores
from gan.extractor.classifier import Extractor
from gan.networks.model_file import load, load_generator
from gan.params import Evaluate
from gan.runtime import machine
from gan.stage import run, say

PATHS = 1000  # at most, for the mean path length


@dataclass(frozen=True)
class Set:
    """Images, the rows of them to compare in random order, and the features of these rows."""

    arrays: Arrays
    rows: torch.Tensor
    features: Features

    @property
    def images(self) -> torch.Tensor:
        """All images, uint8 (N, C, H, W)."""
        return torch.from_numpy(self.arrays.images)

    def first(self, n: int) -> Features:
        """Return the features of the first ``n`` rows, which are random images."""
        return self.features[:n]


def main() -> None:
    """Write reports/metrics.json, reports/evaluation.json, the class histogram, and reports/neighbours/."""
    params = parameters.load()
    evaluate = params.evaluate
    device = devices.prepare(params.train.device, params.train.threads)
    extractor, classes = load_extractor(paths.EXTRACTOR, device)
    own_extractor = evaluate.features == "extractor"
    network = extractor if own_extractor else load_reference(evaluate, device)
    read = {"held out": paths.TEST_SET, "train": paths.TRAIN_SET, "samples": paths.SAMPLES}
    arrays = {name: read_arrays(path) for name, path in read.items()}
    n = min(evaluate.max_images, *(len(loaded.images) for loaded in arrays.values()))
    least = max(evaluate.nearest_k + 1, scores.LEAST)
    if n < least:
        raise UserError(
            f"params.yaml: evaluate.nearest_k: {evaluate.nearest_k}: needs {least} images or more of each "
            f"set, and {n} can be compared; lower it, or hold out more (data.test_fraction)"
        )
    sets = []
    for name, loaded in arrays.items():
        sets.append(see(network, loaded, name, evaluate, device))
        say("evaluate", f"has the features of {len(sets[-1].rows)} images: {name}")
    figures = Scores()
    compare(figures, [dataset.first(n) for dataset in sets], evaluate)
    say("evaluate", "has compared the distributions; looks for copies")
    look_for_copies(figures, sets, n, evaluate)
    if classes is not None and sets[0].arrays.labels is not None:
        by_class(figures, sets, classes, extractor, evaluate, device)
    else:
        files.write_text(paths.CLASSES, "class,held_out,generated\n")
    walk(figures, extractor, sets[0], evaluate, device)
    if is_published_inception(evaluate):
        figures.values["fid"] = figures.values["fd_semantic"]
    scorer = files.sha256_file(paths.EXTRACTOR) if own_extractor else checksum(evaluate)
    records = [load(path)[1] for path in (paths.GENERATOR, paths.EXTRACTOR)]
    records += [{"unpinned": image_set.unpinned} for image_set in arrays.values()]
    result = {"n": n, **figures.values, "extractor_sha256": scorer, "features": evaluate.features}
    result |= machine.peculiar(devices.accelerator(device), "float32", *records)
    files.write_json(paths.EVALUATION, result)
    decisive = {key: result[key] for key in metric_table.DECISIVE if key in result}
    files.write_json(paths.METRICS, decisive)
    say("evaluate", "  ".join(f"{key} {value}" for key, value in decisive.items()))


def see(network: nn.Module, arrays: Arrays, name: str, evaluate: Evaluate, device: str) -> Set:
    """Extract the features of random images, at most ``evaluate.max_images``, with the network."""
    rows = pick(len(arrays.images), evaluate.max_images, seeds.generator(evaluate.seed, name))
    return Set(arrays, rows, extract(network, torch.from_numpy(arrays.images), device, rows))


def compare(figures: Scores, features: list[Features], evaluate: Evaluate) -> None:
    """Add metrics that compare samples, the last, with held-out images, the first; floor: training images.

    All have the same number of rows.
    """
    held_out, train, drawn = features
    raw = evaluate.features != "extractor"
    rng = seeds.generator(evaluate.seed, "jackknife")
    scores.distances(figures, held_out, train, drawn, raw, rng)
    scores.neighbourhoods(figures, held_out, train, drawn, evaluate.nearest_k, rng)
    scores.two_sample(figures, held_out, train, drawn, seeds.generator(evaluate.seed, "two samples"))


def look_for_copies(figures: Scores, sets: list[Set], n: int, evaluate: Evaluate) -> None:
    """Add the metrics of copies and write reports/neighbours/; its table is empty if images are too few."""
    held_out, train, drawn = sets
    kinds: dict[str, copies.Copies] = {}
    if min(len(dataset.rows) for dataset in sets) >= max(scores.CALIBRATES, evaluate.nearest_k + 2):
        for key, seen in (
            ("memorised", [dataset.features.semantic for dataset in (train, held_out, drawn)]),
            (
                "memorised_pixels",
                [copies.pixels(dataset.images, dataset.rows) for dataset in (train, held_out, drawn)],
            ),
        ):
            kinds[key] = copies.memorised(seen[0], seen[1], seen[2], evaluate.nearest_k)
    scores.copies(figures, kinds)
    scores.duplicates(figures, train.features.semantic[:n], drawn.features.semantic[:n])
    with files.fresh_folder(paths.NEIGHBOURS) as folder:
        if kinds:
            pictures = [(dataset.arrays.images, dataset.rows) for dataset in (drawn, train)]
            write_neighbours(folder, pictures[0], pictures[1], kinds, files.sha256_file(paths.GENERATOR))
        else:
            files.write_text(folder / "neighbours.csv", "sample\n")


def by_class(
    figures: Scores,
    sets: list[Set],
    classes: tuple[str, ...],
    extractor: Extractor,
    evaluate: Evaluate,
    device: str,
) -> None:
    """Add the metrics that need classes, and write reports/classes.csv."""
    held_out, train, drawn = sets
    rng = seeds.generator(evaluate.seed, "classes")
    n = min(len(dataset.rows) for dataset in sets)
    scores.class_score(figures, train.first(n), drawn.first(n), rng)
    known, fake = train.features, drawn.features
    if evaluate.features != "extractor":  # only our own extractor knows these classes
        known, fake = (extract(extractor, dataset.images, device, dataset.rows) for dataset in (train, drawn))
    labels = torch.from_numpy(held_out.arrays.labels)
    shares = scores.classes(figures, labels, known, fake, len(classes), rng)
    frame = pd.DataFrame({"class": classes, **shares})
    files.write_text(paths.CLASSES, frame.to_csv(index=False, float_format="%.6g"))
    add_linear_probe(figures, sets, len(classes), evaluate, device)


def add_linear_probe(figures: Scores, sets: list[Set], classes: int, evaluate: Evaluate, device: str) -> None:
    """Add the accuracy on held-out images of a linear classifier on the discriminator's features."""
    held_out, train, _ = sets
    rows = train.rows[: linear_probe.MOST_TRAINING]
    discriminator = linear_probe.load_discriminator(paths.FINAL, *load(paths.FINAL))
    known, asked = (
        linear_probe.activations(discriminator, dataset.images, device, chosen)
        for dataset, chosen in ((train, rows), (held_out, held_out.rows))
    )
    labels = [torch.from_numpy(dataset.arrays.labels) for dataset in (train, held_out)]
    rng = seeds.generator(evaluate.seed, "probe")
    guessed = linear_probe.classify(known, labels[0][rows], asked, classes, rng)
    scores.share(figures, "probe_accuracy", guessed == labels[1][held_out.rows])


def walk(figures: Scores, extractor: Extractor, held_out: Set, evaluate: Evaluate, device: str) -> None:
    """Add the path length between latents, always measured with our own extractor."""
    generator = load_generator(paths.GENERATOR)
    seen = held_out.features if evaluate.features == "extractor" else None
    real = seen or extract(extractor, held_out.images, device, held_out.rows)
    scale = deviations(real.semantic)
    count = min(PATHS, evaluate.max_images)
    lengths = path_length.path_lengths(generator, extractor, scale, count, evaluate.seed, device)
    value, sd = path_length.trimmed(lengths)
    figures.put("path_smoothness", value, normal(value, sd, 0.0), sd)


if __name__ == "__main__":
    run("evaluate", main)
