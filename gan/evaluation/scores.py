"""All figures of an evaluation, each with its interval and what real images would score."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gan.evaluation import intervals, manifold, metrics
from gan.evaluation.copies import Copies, repeated
from gan.evaluation.features import Features
from gan.evaluation.kernel import kernel_distance

LEAST = 4  # images of each set, for anything
CALIBRATES = 32  # images, for a quantile of their distances


@dataclass
class Scores:
    """Figures by key: KEY, its standard deviation KEY_sd, its 95 % interval KEY_low and KEY_high, and
    KEY_floor, what real images score in the samples' place.
    """

    found: dict[str, float] = field(default_factory=dict)

    def put(
        self,
        key: str,
        value: float,
        interval: tuple[float, float],
        sd: float | None = None,
        floor: float | None = None,
    ) -> None:
        """Add a figure, to six digits: more are noise, and differ between processors."""
        low, high = interval
        parts = {"": value, "_sd": sd, "_low": low, "_high": high, "_floor": floor}
        self.found |= {
            key + part: float(f"{number:.6g}") for part, number in parts.items() if number is not None
        }


def distances(
    scores: Scores, held_out: Features, train: Features, drawn: Features, raw: bool, rng: torch.Generator
) -> None:
    """Add Fréchet and kernel distances of ``drawn`` from ``held_out``, and of ``train`` as their floor.

    All have the same number of rows. ``raw``: in features as they are, which is how those of published
    networks are compared; otherwise on the scale of the held-out ones.
    """
    for kind in ("semantic", "texture"):
        parts = [getattr(features, kind) for features in (held_out, train, drawn)]
        if parts[0] is None:
            continue
        real, other, fake = [part.double() for part in parts] if raw else metrics.standardise(*parts)
        value, sd = metrics.frechet_distance(real, fake), metrics.frechet_distance_sd(real, fake, rng)
        floor = metrics.frechet_distance(real, other)
        scores.put(f"fd_{kind}", value, intervals.normal(value, sd, 0.0), sd, floor)
        if metrics.extrapolates(real):
            _infinity(scores, f"fd_{kind}_infinity", real, other, fake, rng)
        value, sd, floor = kernel_distance(real, fake, other, rng)
        scores.put(f"kd_{kind}", value, intervals.normal(value, sd), sd, floor)


def _infinity(
    scores: Scores,
    key: str,
    real: torch.Tensor,
    other: torch.Tensor,
    fake: torch.Tensor,
    rng: torch.Generator,
) -> None:
    value, floor = metrics.frechet_infinity(real, fake), metrics.frechet_infinity(real, other)
    if real.shape[1] > metrics.WIDE:  # hundreds of eigenproblems of such a size would take an hour
        scores.found |= {key: float(f"{value:.6g}"), f"{key}_floor": float(f"{floor:.6g}")}
        return
    (sd,) = intervals.jackknife(
        lambda a, b: [metrics.frechet_infinity(real[a], fake[b])], (len(real), len(fake)), rng
    )
    scores.put(key, value, intervals.normal(value, sd), sd, floor)


def neighbourhoods(
    scores: Scores, held_out: Features, train: Features, drawn: Features, nearest_k: int, rng: torch.Generator
) -> None:
    """Add precision, recall, density and coverage. Features have the same number of rows."""
    real, other, fake = held_out.semantic, train.semantic, drawn.semantic
    value, floor = (manifold.compare(real, part, nearest_k) for part in (fake, other))
    names = ("precision", "recall", "density", "coverage")
    n, sds = len(real), [0.0] * len(names)
    if n // intervals.PARTS > nearest_k:
        sds = intervals.subsample(
            lambda a, b: [getattr(manifold.compare(real[a], fake[b], nearest_k), name) for name in names],
            (n, n),
            rng,
        )
    for name, sd in zip(names, sds, strict=True):
        figure = getattr(value, name)
        if name == "density":
            coin = float(value.balls.double().std()) / nearest_k / n**0.5
            sd = max(sd, coin)
            interval = intervals.normal(figure, sd, 0.0)
        else:
            interval = intervals.wilson(figure, n, sd)
            sd = max(sd, (figure * (1 - figure) / n) ** 0.5)
        scores.put(name, figure, interval, sd, getattr(floor, name))


def classes(
    scores: Scores, labels: torch.Tensor, train: Features, drawn: Features, count: int, rng: torch.Generator
) -> dict[str, torch.Tensor]:
    """Add label divergence and mode coverage of ``drawn`` from held-out ``labels`` (N,), ``count`` classes.

    Floor: as many training images, as the extractor sees them. Returns the shares (count,) of each class.
    """
    predicted, other = drawn.predicted, train.predicted[: len(drawn)]

    def divergence(a: torch.Tensor, b: torch.Tensor) -> float:
        return metrics.jensen_shannon(metrics.histogram(a, count), metrics.histogram(b, count))

    value = divergence(labels, predicted)
    sizes = len(labels), len(predicted)
    (sd,) = intervals.jackknife(lambda a, b: [divergence(labels[a], predicted[b])], sizes, rng)
    interval = intervals.normal(value, sd, 0.0)
    scores.put("label_divergence", value, interval, sd, divergence(labels, other))
    real, fake = (metrics.histogram(part, count) for part in (labels, predicted))
    bounds = [intervals.wilson(float(part), len(predicted)) for part in fake]
    low, high = (torch.tensor(side, dtype=torch.float64) for side in zip(*bounds, strict=True))
    cover = [metrics.mode_coverage(real, part) for part in (fake, low, high, metrics.histogram(other, count))]
    scores.put("mode_coverage", cover[0], (cover[1], cover[2]), floor=cover[3])
    return {"held_out": real, "generated": fake}


def class_score(scores: Scores, train: Features, drawn: Features, rng: torch.Generator) -> None:
    """Add the class score. Features have the same number of rows, and logits."""
    if drawn.logits is None or train.logits is None:
        return
    value, logits = metrics.class_score(drawn.logits), drawn.logits
    rows = intervals.without(intervals.deal(len(logits), rng))
    sd = float(intervals.spread(torch.tensor([metrics.class_score(logits[kept]) for kept in rows])))
    low, high = intervals.normal(value, sd, 1.0)
    bounds = low, min(high, float(logits.shape[1]))
    scores.put("class_score", value, bounds, sd, metrics.class_score(train.logits))


def copies(scores: Scores, found: Mapping[str, Copies]) -> None:
    """Add the shares of samples that are copies of training images, by key, and of authentic ones."""
    for key, kind in found.items():
        share(scores, key, kind.flagged, kind.floor)
    if "memorised" in found:
        kind = found["memorised"]
        share(scores, "authenticity", kind.authentic, kind.authentic_real.double().mean().item())


def duplicates(scores: Scores, real: torch.Tensor, drawn: torch.Tensor) -> None:
    """Add the share of samples that nearly repeat another; features (N, d) of as many real images."""
    if len(real) < CALIBRATES:
        return
    which, floor = repeated(real, drawn)
    share(scores, "duplicates", which, floor, independent=0.5)  # they come in pairs


def share(
    scores: Scores, key: str, which: torch.Tensor, floor: float | None = None, independent: float = 1.0
) -> None:
    """Add the share of ``which`` (N,) bool, of which a part is ``independent``."""
    value, n = which.double().mean().item(), len(which) * independent
    sd = (value * (1 - value) / n) ** 0.5
    scores.put(key, value, intervals.wilson(value, n), sd, floor)
