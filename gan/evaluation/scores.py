"""All metrics of an evaluation, each with its interval and the score of real images (its floor)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from gan.evaluation import feature_metrics, intervals, linear_probe, precision_recall
from gan.evaluation.copies import Copies, repeated
from gan.evaluation.feature_extraction import Features
from gan.evaluation.kernel_distance import kernel_distance

LEAST = 4  # images of each set, for any metric
CALIBRATES = 32  # images, to estimate a quantile of their distances


@dataclass
class Scores:
    """Metrics by key: KEY, its standard deviation KEY_sd, its 95 % interval KEY_low and KEY_high, and
    KEY_floor, the score of the same number of real images.
    """

    values: dict[str, float] = field(default_factory=dict)

    def put(
        self,
        key: str,
        value: float,
        interval: tuple[float, float],
        sd: float | None = None,
        floor: float | None = None,
    ) -> None:
        """Add a figure, rounded to six digits; more are noise and differ between processors."""
        low, high = interval
        by_suffix = {"": value, "_sd": sd, "_low": low, "_high": high, "_floor": floor}
        self.values |= {
            key + suffix: float(f"{number:.6g}") for suffix, number in by_suffix.items() if number is not None
        }


def distances(
    scores: Scores, held_out: Features, train: Features, drawn: Features, raw: bool, rng: torch.Generator
) -> None:
    """Add the Fréchet and kernel distances of ``drawn`` from ``held_out``; those of ``train`` are the floor.

    All have the same number of rows. ``raw``: use features as they are, as is usual for published networks.
    Otherwise they are scaled by the held-out ones. KEY_scale: the variance of held-out images, which tells a
    large Fréchet distance from a small one whatever the features are.
    """
    for kind in ("semantic", "texture"):
        tensors = [getattr(features, kind) for features in (held_out, train, drawn)]
        if tensors[0] is None:
            continue
        real, other, fake = (
            [tensor.double() for tensor in tensors] if raw else feature_metrics.standardise(*tensors)
        )
        value, sd = (
            feature_metrics.frechet_distance(real, fake),
            feature_metrics.frechet_distance_sd(real, fake, rng),
        )
        floor = feature_metrics.frechet_distance(real, other)
        scores.put(f"fd_{kind}", value, intervals.normal(value, sd, 0.0), sd, floor)
        scores.values[f"fd_{kind}_scale"] = float(f"{real.var(0).sum():.6g}")
        if feature_metrics.extrapolates(real):
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
    value, floor = feature_metrics.frechet_infinity(real, fake), feature_metrics.frechet_infinity(real, other)
    if min(real.shape) > feature_metrics.WIDE:  # hundreds of such eigenproblems would take an hour
        scores.values |= {key: float(f"{value:.6g}"), f"{key}_floor": float(f"{floor:.6g}")}
        return
    (sd,) = intervals.jackknife(
        lambda a, b: [feature_metrics.frechet_infinity(real[a], fake[b])], (len(real), len(fake)), rng
    )
    scores.put(key, value, intervals.normal(value, sd), sd, floor)


def neighbourhoods(
    scores: Scores, held_out: Features, train: Features, drawn: Features, nearest_k: int, rng: torch.Generator
) -> None:
    """Add precision, recall, density and coverage. All features have the same number of rows."""
    real, other, fake = held_out.semantic, train.semantic, drawn.semantic
    value, floor = (precision_recall.compare(real, features, nearest_k) for features in (fake, other))
    names = ("precision", "recall", "density", "coverage")
    n, sds = len(real), [0.0] * len(names)
    if n // intervals.PARTS > nearest_k:
        sds = intervals.subsample(
            lambda a, b: [
                getattr(precision_recall.compare(real[a], fake[b], nearest_k), name) for name in names
            ],
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
    """Add label divergence and mode coverage of ``drawn`` against ``labels`` (N,) of held-out images.

    The floor uses as many training images, classified by the extractor. Returns the shares (count,) of the
    classes among held-out images and samples.
    """
    predicted, other = drawn.predicted, train.predicted[: len(drawn)]

    def divergence(a: torch.Tensor, b: torch.Tensor) -> float:
        return feature_metrics.jensen_shannon(
            feature_metrics.histogram(a, count), feature_metrics.histogram(b, count)
        )

    value = divergence(labels, predicted)
    sizes = len(labels), len(predicted)
    (sd,) = intervals.jackknife(lambda a, b: [divergence(labels[a], predicted[b])], sizes, rng)
    interval = intervals.normal(value, sd, 0.0)
    scores.put("label_divergence", value, interval, sd, divergence(labels, other))
    real, fake = (feature_metrics.histogram(predictions, count) for predictions in (labels, predicted))
    bounds = [intervals.wilson(float(share), len(predicted)) for share in fake]
    low, high = (torch.tensor(side, dtype=torch.float64) for side in zip(*bounds, strict=True))
    cover = [
        feature_metrics.mode_coverage(real, shares)
        for shares in (fake, low, high, feature_metrics.histogram(other, count))
    ]
    scores.put("mode_coverage", cover[0], (cover[1], cover[2]), floor=cover[3])
    return {"held_out": real, "generated": fake}


def class_score(scores: Scores, train: Features, drawn: Features, rng: torch.Generator) -> None:
    """Add the class score, if the network has logits. Features have the same number of rows."""
    if drawn.logits is None or train.logits is None:
        return
    value, logits = feature_metrics.class_score(drawn.logits), drawn.logits
    rows = intervals.without(intervals.deal(len(logits), rng))
    sd = float(
        intervals.spread(torch.tensor([feature_metrics.class_score(logits[selected]) for selected in rows]))
    )
    low, high = intervals.normal(value, sd, 1.0)
    bounds = low, min(high, float(logits.shape[1]))
    scores.put("class_score", value, bounds, sd, feature_metrics.class_score(train.logits))


def copies(scores: Scores, by_key: Mapping[str, Copies]) -> None:
    """Add the share of samples that copy training images, for each key, and the share of authentic ones."""
    for key, kind in by_key.items():
        share(scores, key, kind.flagged, kind.floor)
    if "memorised" in by_key:
        kind = by_key["memorised"]
        share(scores, "authenticity", kind.authentic, kind.authentic_real.double().mean().item())


def two_sample(
    scores: Scores, held_out: Features, train: Features, drawn: Features, rng: torch.Generator
) -> None:
    """Add how well a classifier tells ``drawn`` from ``held_out``; features of equally many rows."""
    if len(held_out) < CALIBRATES:
        return
    real, other, fake = (features.joined() for features in (held_out, train, drawn))
    floor = linear_probe.told_apart(real, other, rng).double().mean().item()
    share(scores, "two_sample_accuracy", linear_probe.told_apart(real, fake, rng), floor)


def duplicates(scores: Scores, real: torch.Tensor, drawn: torch.Tensor) -> None:
    """Add the share of samples that nearly repeat another; features (N, d) of equally many real images."""
    if len(real) < CALIBRATES:
        return
    which, floor = repeated(real, drawn)
    share(scores, "duplicates", which, floor, independent=0.5)  # they come in pairs


def share(
    scores: Scores, key: str, which: torch.Tensor, floor: float | None = None, independent: float = 1.0
) -> None:
    """Add the share of True in ``which`` (N,) bool; ``independent``: the share of independent rows."""
    value, n = which.double().mean().item(), len(which) * independent
    sd = (value * (1 - value) / n) ** 0.5
    scores.put(key, value, intervals.wilson(value, n), sd, floor)
