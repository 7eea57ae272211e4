"""How far the keyed mark goes: false alarms, survival, cost. Prints tables in Markdown.

    python -m benchmarks.mark                # in a checkout whose pipeline has run
    python -m benchmarks.mark --samples A.safetensors --real B.safetensors --extractor E.safetensors

Each marked set has a key of its own; a detection is a p-value of at most 0.001. With one file for both
options, its images are divided: one half stands for samples, the other for held-out images.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine, options
from benchmarks.attacks import ATTACKS, BEYOND
from gan import seeds
from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.evaluation import feature_metrics
from gan.evaluation.feature_extraction import extract, load_extractor
from gan.provenance import mark as inside
from gan.provenance.mark import KEY_BYTES, STRENGTH, Mark, detect

BATCH = 50
ALPHA = 1e-3
STRENGTHS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
FOR_COST = ("none", "JPEG 75")
Rng = np.random.Generator


def rng_of(purpose: str, index: int = 0) -> Rng:
    """Return a fresh generator for one purpose."""
    return np.random.default_rng(seeds.derive(0, purpose, index))


def key_of(purpose: str, index: int) -> Mark:
    """Return one of many marks."""
    return Mark(rng_of(purpose, index).bytes(KEY_BYTES))


def sets(images: np.ndarray, size: int, count: int, purpose: str) -> Iterator[np.ndarray]:
    """Yield ``count`` sets of ``size`` images; each set without repetition."""
    for i in range(count):
        yield images[np.sort(rng_of(purpose, i).choice(len(images), size, replace=False))]


def share(p_values: list[float] | np.ndarray, limit: float) -> str:
    """Return the share of p-values at most ``limit``."""
    return f"{np.mean(np.array(p_values) <= limit):.4g}"


def table(*columns: str) -> None:
    """Print the head of a table."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells: object) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def false_alarms(kinds: dict[str, np.ndarray], keys: int, count: int) -> None:
    """Print how often unmarked images are called marked, by all keys, and by the worst of them.

    Given the images, keys are independent. Given a key, sets of like images are not: an
    unlucky key errs often.
    """
    limits = ("p ≤ 0.01", "p ≤ 0.001")
    table("unmarked", "images a set", "sets × keys", *limits, "least p", *(f"{x}, worst key" for x in limits))
    marks = [key_of("unmarked", i) for i in range(keys)]
    for name, images in kinds.items():
        for size, many in ((1, 5 * count), (BATCH, count)):
            p_values = np.array(
                [
                    [seen.p_value for seen in detect(marks, batch)]
                    for batch in sets(images, size, many, "null")
                ]
            )
            shares = [share(p_values, limit) for limit in (0.01, 0.001)]
            worst = [f"{(p_values <= limit).mean(0).max():.4g}" for limit in (0.01, 0.001)]
            row(name, size, f"{many} × {keys}", *shares, f"{p_values.min():.2g}", *worst)


def survival(samples: np.ndarray, count: int) -> None:
    """Print the detection rates after each attack, per image and per set."""
    table("attack", "found, per image", "n", f"found, per {BATCH}", "n", "median p-value of a set")
    marked = [
        (key_of("survival", i), key_of("survival", i).embed(batch))
        for i, batch in enumerate(sets(samples, BATCH, count, "survival"))
    ]
    for name, attack in (ATTACKS | BEYOND).items():
        single, together = [], []
        for i, (mark, images) in enumerate(marked):
            attacked = [attack(image, rng_of(name, i * BATCH + j)) for j, image in enumerate(images)]
            together.append(mark.detect(attacked).p_value)
            single += [mark.detect([image]).p_value for image in attacked]
        middle = f"{np.median(together):.1g}"
        row(name, share(single, ALPHA), len(single), share(together, ALPHA), len(together), middle)


def mixtures(samples: np.ndarray, real: np.ndarray, count: int) -> None:
    """Print detection rates of sets in which only some images are marked."""
    table(f"marked of {BATCH}", *(f"found, {name}" for name in FOR_COST), "n")
    for marked in (1, 2, 5, 10, 25):
        p_values: dict[str, list[float]] = {name: [] for name in FOR_COST}
        for i, batch in enumerate(sets(samples, BATCH, count, "mixture")):
            mark = key_of("mixture", i)
            mixed = [*mark.embed(batch[:marked]), *next(sets(real, BATCH - marked, 1, f"rest {i}"))]
            for name, values in p_values.items():
                attacked = [ATTACKS[name](image, rng_of(name, i)) for image in mixed]
                values.append(mark.detect(attacked).p_value)
        row(marked, *(share(values, ALPHA) for values in p_values.values()), count)


def cost(samples: np.ndarray, real: np.ndarray, extractor: Path) -> None:
    """Print what the mark does to the images, by its strength: means over two keys."""
    model, _ = load_extractor(extractor, "cpu")
    names = (
        "strength",
        "PSNR, dB",
        "semantic distance",
        "texture distance",
        "found, per image",
        "after JPEG 75",
    )
    table(*names)
    held_out = extract(model, torch.from_numpy(real), "cpu")
    for strength in (0.0, *STRENGTHS):
        keys = [key_of("cost", i) for i in range(2 if strength else 1)]
        durations: list[list[float]] = []
        for mark in keys:
            marked = mark.embed(samples, strength) if strength else samples
            features = extract(model, torch.from_numpy(marked), "cpu")
            distances = [
                distance(getattr(held_out, k), getattr(features, k)) for k in ("semantic", "texture")
            ]
            singles = [[detected(mark, attack, image) for image in marked[:200]] for attack in FOR_COST]
            rates = [float(np.mean(single)) for single in singles]
            durations.append([psnr(samples, marked), *distances, *rates])
        noise, semantic, texture, single, coded = np.mean(durations, 0)
        named = f"{strength:g}{' (default)' if strength == STRENGTH else ''}" if strength else "no mark"
        row(named, f"{noise:.1f}", f"{semantic:.3f}", f"{texture:.3f}", f"{single:.2f}", f"{coded:.2f}")


def detected(mark: Mark, attack: str, image: np.ndarray) -> bool:
    """Return whether one image betrays the mark after an attack."""
    return mark.detect([ATTACKS[attack](image, rng_of(attack))]).p_value <= ALPHA


def distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Return the Fréchet distance as `evaluate` takes it, in units of the real images' spread."""
    return feature_metrics.frechet_distance(*feature_metrics.standardise(real, fake))


def psnr(images: np.ndarray, marked: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of a set, decibels."""
    error = np.mean((images.astype(np.float32) - marked) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def adversary(samples: np.ndarray, real: np.ndarray, count: int) -> None:
    """Print what somebody gains who has this program and marked images, and no key: removal, and forgery."""
    both = "per image, per 50"
    table("marked images seen", f"found after removal, {both}", f"found in forged real images, {both}", "n")
    for seen in (1, 10, 100):
        removed: list[list[float]] = []
        forged: list[list[float]] = []
        for i in range(count):
            mark, shuffled = key_of("adversary", i), samples[rng_of("adversary", i).permutation(len(samples))]
            pattern = guess(mark.embed(shuffled[BATCH : BATCH + seen]))
            forgery = next(sets(real, BATCH, 1, f"forged {i}"))
            for results, images, sign in ((removed, mark.embed(shuffled[:BATCH]), -1), (forged, forgery, 1)):
                changed = np.clip(np.rint(images + sign * 1.4 * STRENGTH * pattern), 0, 255).astype(np.uint8)
                results.append(
                    [*(mark.detect([image]).p_value for image in changed), mark.detect(changed).p_value]
                )
        shares = [
            f"{(np.array(tried)[:, :-1] <= ALPHA).mean():.4g}, {(np.array(tried)[:, -1] <= ALPHA).mean():.4g}"
            for tried in (removed, forged)
        ]
        row(seen, *shares, count)


def guess(marked: np.ndarray) -> np.ndarray:
    """Return the mark's pattern (H, W), spread 1, as well as marked images betray it to who has no key."""
    side = marked.shape[-1]
    directions = inside._directions(marked, side, inside.WHOLE)[:, 0].sum(0)
    waves = np.zeros(inside._band(side).shape)
    waves[inside._band(side)] = directions / inside._radii(side)[inside._band(side)]
    cosines = inside._waves(side, side, (0, 0))
    pattern = cosines @ waves @ cosines[:, ::2].T
    return np.asarray(pattern / pattern.std())


def main() -> None:
    """Measure and print."""
    parser = options.Parser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--samples", type=Path, default=Path("samples/samples.safetensors"))
    parser.add_argument("--real", type=Path, default=Path("data/prepared/test.safetensors"))
    parser.add_argument("--extractor", type=Path, default=Path("models/extractor.safetensors"))
    parser.add_argument(
        "--sets", type=options.count, default=20, help="of 50 images, for each detection rate"
    )
    parser.add_argument("--unmarked", type=options.count, default=60, help="sets of 50, for false alarms")
    parser.add_argument("--keys", type=options.count, default=100, help="that look at each of these")
    try:
        arguments = parser.parse_args()
        samples, real = (read_arrays(path).images for path in (arguments.samples, arguments.real))
        if arguments.samples == arguments.real:
            order = rng_of("halves").permutation(len(real))
            samples, real = samples[order[::2]], real[order[1::2]]
        if min(len(samples), len(real)) < 2 * BATCH:
            raise UserError(f"{arguments.samples}, {arguments.real}: {2 * BATCH} images of each are needed")
        print(f"{machine.describe('cpu')}; samples {samples.shape}, real {real.shape}")
        false_alarms({"samples": samples, "real": real}, arguments.keys, arguments.unmarked)
        survival(samples, arguments.sets)
        mixtures(samples, real, arguments.sets)
        cost(samples[:2000], real[:2000], arguments.extractor)
        adversary(samples, real, arguments.sets)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
