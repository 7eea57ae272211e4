"""The table of metrics: names, meanings, directions, intervals, and the scores of real images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Z = 1.96  # half a 95 % interval of a normal distribution, in standard deviations
# What follows a metric's key in reports/evaluation.json where a figure is a property of the metric.
BESIDE = ("_sd", "_low", "_high", "_floor", "_scale")
# What reports/metrics.json holds, the most important first: `dvc exp show` has a column for each, and with
# a param beside them they fit 160 characters.
DECISIVE = (
    *("fid", "fd_semantic", "fd_texture", "precision", "recall"),
    *("label_divergence", "duplicates", "memorised", "n"),
)


@dataclass(frozen=True)
class Metric:
    """One metric of reports/evaluation.json.

    ``share``: it is between 0 and 1. ``any_n``: it can be compared between sets of different sizes.
    ``own_n``: it has an n of its own, not the file's. ``pixels``: it does not use the extractor, so it can be
    compared between extractors.
    """

    key: str
    name: str
    group: str
    better: Literal["lower", "higher"]
    meaning: str
    share: bool = False
    any_n: bool = False
    own_n: bool = False
    pixels: bool = False


FIDELITY, DIVERSITY, MEMORISATION = "Fidelity", "Diversity", "Memorisation"
LATENT, DISCRIMINATOR = "Latent space", "Discriminator"

GROUPS = {
    FIDELITY: "Do the samples look like real images?",
    DIVERSITY: "Do they cover the variety of real images?",
    MEMORISATION: "Are they new, or copies of training images?",
    LATENT: "Does a small step of the latent vector change the image a little?",
    DISCRIMINATOR: "What has the discriminator learned?",
}

NO_BIAS = "extrapolated to infinitely many images, so n has no influence"
UNBIASED = "unbiased: 0 on average if samples and real images have the same distribution"
TWO_SAMPLES = "how often a linear classifier tells samples from held-out images; 0.5 if it cannot"
PRECISION = "the share of samples near some real image; average-looking noise is, too"
MODES = "the share of classes that are at least half as common as they should be"
LABELS = "0 when all classes are as common as they should be"
AUTHENTIC = "the share that is farther from its nearest training image than that one is from its own nearest"
NEAR = "the share of samples suspiciously near a training image"
PATH = "how much images change on a path between latents (perceptual path length, Karras 2019)"
PROBE = "the share of held-out images that a linear model on its features classifies correctly"

METRICS = (
    Metric("fd_semantic", "Fréchet distance, semantic", FIDELITY, "lower", "do they show the right things?"),
    Metric("fd_texture", "Fréchet distance, texture", FIDELITY, "lower", "do they look right close up?"),
    Metric("fid", "FID", FIDELITY, "lower", "the Fréchet distance in the Inception network's features"),
    Metric(
        "fd_semantic_infinity",
        "Fréchet distance, semantic, infinite n",
        FIDELITY,
        "lower",
        NO_BIAS,
        any_n=True,
    ),
    Metric(
        "fd_texture_infinity", "Fréchet distance, texture, infinite n", FIDELITY, "lower", NO_BIAS, any_n=True
    ),
    Metric("kd_semantic", "Kernel distance, semantic", FIDELITY, "lower", UNBIASED, any_n=True),
    Metric("kd_texture", "Kernel distance, texture", FIDELITY, "lower", "the same, close up", any_n=True),
    Metric("two_sample_accuracy", "Two-sample test", FIDELITY, "lower", TWO_SAMPLES, share=True),
    Metric("precision", "Precision", FIDELITY, "higher", PRECISION, share=True),
    Metric(
        "density",
        "Density",
        FIDELITY,
        "higher",
        "how densely real images lie around samples; about 1 for real images",
    ),
    Metric(
        "class_score",
        "Class score",
        FIDELITY,
        "higher",
        "clear classes, and all of them; at most the number of classes",
    ),
    Metric(
        "recall", "Recall", DIVERSITY, "higher", "the share of real images that samples cover", share=True
    ),
    Metric(
        "coverage",
        "Coverage",
        DIVERSITY,
        "higher",
        "the share of real images with a sample nearby",
        share=True,
    ),
    Metric("mode_coverage", "Mode coverage", DIVERSITY, "higher", MODES, share=True, any_n=True, own_n=True),
    Metric("label_divergence", "Label divergence, bits", DIVERSITY, "lower", LABELS, any_n=True, own_n=True),
    Metric(
        "duplicates",
        "Duplicates",
        DIVERSITY,
        "lower",
        "the share of samples that nearly repeat another sample",
    ),
    Metric(
        "authenticity", "Authenticity", MEMORISATION, "higher", AUTHENTIC, share=True, any_n=True, own_n=True
    ),
    Metric("memorised", "Memorised, by features", MEMORISATION, "lower", NEAR, any_n=True, own_n=True),
    Metric(
        *("memorised_pixels", "Memorised, by pixels", MEMORISATION, "lower", "the same, pixel by pixel"),
        any_n=True,
        own_n=True,
        pixels=True,
    ),
    Metric("path_smoothness", "Path length", LATENT, "lower", PATH, any_n=True, own_n=True),
    Metric(
        *("probe_accuracy", "Linear probe of its features", DISCRIMINATOR, "higher", PROBE),
        share=True,
        any_n=True,
        own_n=True,
        pixels=True,
    ),
)


def number(value: float) -> str:
    """Return a figure to three digits."""
    return f"{value:.3g}"


def known(metrics: Mapping[str, Any], key: str) -> float | None:
    """Return a figure, None where there is none."""
    value = metrics.get(key)
    return float(value) if isinstance(value, float | int) and not isinstance(value, bool) else None


def interval(metrics: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """Return a metric's 95 % interval: its own, or from its deviation; None where neither is known."""
    low, high = known(metrics, f"{key}_low"), known(metrics, f"{key}_high")
    if low is not None and high is not None:
        return low, high
    value, deviation = known(metrics, key), known(metrics, f"{key}_sd")
    if value is None or deviation is None:
        return None
    return value - Z * deviation, value + Z * deviation


def metric_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each metric there is, grouped: figures as text, and where a picture has them."""
    rows = []
    for metric in METRICS:
        value, floor = known(metrics, metric.key), known(metrics, f"{metric.key}_floor")
        if value is None:
            continue
        between = interval(metrics, metric.key)
        n = known(metrics, f"{metric.key}_n") or (None if metric.own_n else known(metrics, "n"))
        rows.append(
            {
                "key": metric.key,
                "name": metric.name,
                "group": metric.group,
                "question": GROUPS[metric.group],
                "better": metric.better,
                "meaning": metric.meaning,
                "figure": number(value),
                "interval": "" if between is None else f"{number(between[0])} to {number(between[1])}",
                "floor": "" if floor is None else number(floor),
                "n": "" if n is None else f"{n:,.0f}",
                "picture": picture(metric, value, between, floor),
            }
        )
    return rows


def picture(
    metric: Metric, value: float, between: tuple[float, float] | None, floor: float | None
) -> dict[str, float | None]:
    """Return where value, interval and floor stand on the metric's own axis, in percent of its width."""
    values = [value, *(between or ()), *([] if floor is None else [floor])]
    left = min(0.0, *values) if len(values) > 1 else min(0.0, value)
    right = max(1.0, *values) if metric.share else max(0.0, *values, left) * 1.08
    width = right - left or 1.0

    def percent(position: float) -> float:
        return round(2 + 96 * (position - left) / width, 2)

    low, high = between or (value, value)
    if metric.share:
        low, high = max(0.0, low), min(1.0, high)
    return {
        "zero": percent(0.0),
        "value": percent(value),
        "low": percent(low),
        "high": percent(high),
        "floor": None if floor is None else percent(floor),
    }
