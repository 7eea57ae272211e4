"""What the report's first sentence says of images from good to bad: `python -m benchmarks.ladder [SET]`.

Held-out images against training images, training images spoilt in many ways, and the samples of each
snapshot of a training: of a SET of benchmarks/ladder_sets.py, or of the project in this folder whose
pipeline has run. Prints CSV; `docs/quality/ladder-SET.csv` have such rows.
"""

import argparse
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks import ladder_sets
from gan import devices, params, paths
from gan.data import images as pixels
from gan.data.arrays import read_arrays
from gan.evaluation import copies, scores
from gan.evaluation.feature_extraction import extract, load_extractor
from gan.evaluation.scores import Scores
from gan.extractor.classifier import Extractor
from gan.params import Evaluate
from gan.report.headline import realism, verdict
from gan.stage import run
from gan.stages import evaluate

MOST = ladder_sets.MOST_COMPARED  # images of each set
# What the first sentences read, see gan/report/headline.py; and precision, which they do not.
COLUMNS = (
    *("n", "fd_semantic", "fd_semantic_floor", "fd_semantic_scale"),
    *("fd_texture", "fd_texture_floor", "fd_texture_scale"),
    *("two_sample_accuracy", "two_sample_accuracy_low", "two_sample_accuracy_high"),
    "two_sample_accuracy_floor",
    *("density", "density_floor", "coverage", "coverage_floor", "duplicates", "duplicates_floor"),
    *("memorised", "memorised_low", "memorised_high", "memorised_floor", "precision"),
)


def blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) under a Gaussian of ``sigma`` pixels."""
    line = torch.arange(-6, 7).float()
    line = torch.exp(-(line**2) / (2 * sigma**2))
    line = (line / line.sum()).repeat(images.shape[1], 1)
    padded = F.pad(images.float(), (6, 6, 6, 6), mode="reflect")
    rows = F.conv2d(padded, line[:, None, None, :], groups=images.shape[1])
    return F.conv2d(rows, line[:, None, :, None], groups=images.shape[1]).round().clamp(0, 255).byte()


def noisy(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return uint8 images with Gaussian noise of ``sigma``, as a share of 255."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images.float() + 255 * sigma * noise).round().clamp(0, 255).byte()


def spoilt(
    pool: torch.Tensor, count: int, labels: torch.Tensor | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield names and ``count`` images uint8: of ``pool`` (N, C, H, W), and spoilt in different ways.

    ``labels`` (N,): without half of the classes, too, which takes twice as many images.
    """
    images, size = pool[:count], pool.shape[-1]
    noise = torch.randint(0, 256, images.shape, generator=torch.Generator().manual_seed(2)).byte()
    yield "real images", images
    for sigma in (0.7, 1.5, 3.0):
        yield f"blur of {sigma} pixels", blurred(images, sigma)
    for sigma in (0.05, 0.15, 0.4):
        yield f"noise of {100 * sigma:.0f} %", noisy(images, sigma)
    yield "half of them noise", torch.cat([images[: count // 2], noise[count // 2 :]])
    yield "16 images repeated", images[torch.arange(count) % 16]
    yield "100 images repeated", images[torch.arange(count) % 100]
    if labels is not None:
        yield "half of the classes", pool[labels < (labels.max() + 1) // 2][:count]
    yield "quarters exchanged", images.roll((size // 2, size // 2), (2, 3))
    yield "the mean image with noise", noisy(images.float().mean(0, keepdim=True).expand(images.shape), 0.1)
    yield "noise alone", noise


def snapshots(count: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the samples of each snapshot of the training."""
    for name, images in ladder_sets.samples(paths.SNAPSHOTS, count):
        yield name.replace("-0000", " "), images


def compared(
    extractor: Extractor,
    held_out: torch.Tensor,
    train: torch.Tensor,
    sets: Iterable[tuple[str, torch.Tensor]],
    settings: Evaluate,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the metrics of each set, as stage evaluate computes them.

    Each set has as many images as are held out; of the training images, as many give the floor.
    """
    real, known = (extract(extractor, images, "cpu") for images in (held_out, train))
    other = known[: len(held_out)]
    for name, images in sets:
        figures, drawn = Scores(), extract(extractor, images, "cpu")
        evaluate.compare(figures, [real, other, drawn], settings)
        scores.duplicates(figures, other.semantic, drawn.semantic)
        found = copies.memorised(known.semantic, real.semantic, drawn.semantic, settings.nearest_k)
        scores.copies(figures, {"memorised": found})
        yield name, {"n": len(images), **figures.values}


def of_project() -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
    """Yield name, images and metrics of each set of images, for the project in this folder."""
    extractor, _ = load_extractor(paths.EXTRACTOR, "cpu")
    held_out, train = (
        torch.from_numpy(read_arrays(path).images) for path in (paths.TEST_SET, paths.TRAIN_SET)
    )
    count = min(MOST, len(held_out), len(train) // 2)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    held_out = held_out[torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))[:count]]
    other, spoiling = train[order[:count]], train[order[count : 2 * count]]
    sets = (entry for source in (spoilt(spoiling, count), snapshots(count)) for entry in source)
    yield from _seen(extractor, held_out, other, sets, params.load().evaluate)


def of_set(name: str) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
    """Yield the same for a set of benchmarks/ladder_sets.py.

    The images that are spoilt are a part of the training images that neither extractor nor copies know.
    """
    whole = ladder_sets.load(name)
    chosen, pool, labels = whole.without_some()
    extractor, count = ladder_sets.extractor(chosen), min(len(whole.held_out), MOST)
    held_out = chosen.held_out[:count]
    sets = chain(
        spoilt(pool, count, labels),
        [("copies of training images", chosen.train[-count:])],
        ladder_sets.trained(chosen, count),
    )
    yield from _seen(extractor, held_out, chosen.train, sets, chosen.params().evaluate)


def _seen(
    extractor: Extractor,
    held_out: torch.Tensor,
    train: torch.Tensor,
    sets: Iterable[tuple[str, torch.Tensor]],
    settings: Evaluate,
) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
    for name, images in sets:
        for _, metrics in compared(extractor, held_out, train, [(name, images)], settings):
            yield name, images, metrics


def main() -> None:
    """Print a row for each set of images."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("set", nargs="?", choices=ladder_sets.SETS, help="without it: this project")
    parser.add_argument("--grids", type=Path, help="a folder for a picture of each set of images")
    options = parser.parse_args()
    devices.prepare("cpu", "auto")
    print(",".join(("images", *COLUMNS, "distance", "verdict")))
    for name, images, metrics in of_set(options.set) if options.set else of_project():
        figures = [f"{metrics[column]:.4g}" if column in metrics else "" for column in COLUMNS]
        print(",".join((name, *figures, f"{realism(metrics):.3g}", f'"{verdict(metrics)}"')), flush=True)
        if options.grids:
            options.grids.mkdir(parents=True, exist_ok=True)
            pixels.write_png(options.grids / f"{name}.png", pixels.grid(images[:100].numpy(), 10))


if __name__ == "__main__":
    run("ladder", main, lock=False, stage=False)
