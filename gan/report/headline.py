"""The first sentences of the report: how good the samples are, as one who looks at the grid would say."""

from collections.abc import Mapping, Sequence
from typing import Any

from gan.metric_table import interval, known

LEAST = 100  # held-out images: with fewer, no metric tells good samples from bad ones
TEXTURE = 3.0  # a difference in texture looks as bad as one in content that is so many times smaller
# `realism`, at most, and what it looks like; all limits are set by the ladder of images in docs/quality.md.
CLOSE = 0.04
RUNGS = (
    (CLOSE, "The samples are close to real images"),
    (0.12, "The samples resemble real images, with visible faults"),
    (0.4, "The samples resemble real images only roughly"),
)
LAST = "The samples do not look like real images"
# Accuracy of the two-sample test, at most, where samples can hardly be told from real images, and where they
# can be close to them. Between real images it may be so much, or else they are of two kinds.
ALIKE, NEAR, OTHER_KIND = 0.55, 0.75, 0.65
WIDE, HALF = 0.85, 0.5  # shares of the coverage of real images
DENSE = 0.8  # of their density: samples are where real images are
REPEATS = 0.6  # `realism`, at most, of few real images repeated; what is farther and much alike is none
MOST = 0.6  # share of samples that repeat a training image or another sample, to be the first thing said
KINDS = "memorised", "memorised_pixels"  # of copies
REPEATED = 0.02  # share of samples that repeat another; fewer are not mentioned


def verdict(metrics: Mapping[str, Any]) -> str:
    """Say in one sentence how good the samples are."""
    n = int(known(metrics, "n") or 0)
    if n < LEAST:
        return f"{n} held-out images are too few to judge the samples: {LEAST} are needed."
    distance = realism(metrics)
    if distance is None:
        return "No metric was measured that tells how good the samples are."
    if _of_other_kind(metrics):
        return "The samples cannot be judged: held-out images are of another kind than training images."
    if distance <= REPEATS and (known(metrics, "duplicates") or 0.0) >= MOST:
        return "Most samples nearly repeat another sample."
    if distance > RUNGS[-1][0]:
        return f"{LAST}."
    if _copied(metrics) >= MOST:
        return "Most samples repeat a training image."
    accuracy = known(metrics, "two_sample_accuracy")
    told = 1.0 if accuracy is None else accuracy
    density, coverage = _beside_real(metrics, "density"), _beside_real(metrics, "coverage")
    if told <= NEAR and density >= DENSE and coverage < (HALF if distance <= CLOSE else WIDE):
        return "The samples look like real images, but only like a part of them."
    if distance <= CLOSE and told <= ALIKE:
        return "The samples can hardly be told from real images."
    below = RUNGS if told <= NEAR or accuracy is None else RUNGS[1:]
    return next(f"{sentence}." for most, sentence in below if distance <= most)


def details(metrics: Mapping[str, Any]) -> list[str]:
    """Return what else to know about the samples, a sentence each; none if too few images were compared."""
    distance = realism(metrics)
    if (known(metrics, "n") or 0) < LEAST or distance is None or _of_other_kind(metrics):
        return []
    sentences = [_told_apart(metrics)]
    if distance <= RUNGS[-1][0]:
        sentences += [_variety(metrics), _copies(metrics)]
    return [sentence for sentence in [*sentences, _repeats(metrics)] if sentence]


def warnings(expectations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the sentence on expectations of the data that do not hold; a critical one stops the pipeline."""
    count = sum(not row["success"] for row in expectations)
    return [f"{count} warning{'s' if count > 1 else ''} about the data."] if count else []


def realism(metrics: Mapping[str, Any]) -> float | None:
    """Return how far samples are from real images, the worse of content and texture; 0 for real images.

    The Fréchet distance beyond that of as many real images, over the variance of the held-out images.
    """
    distances = []
    for key, tolerance in (("fd_semantic", 1.0), ("fd_texture", TEXTURE)):
        value, scale = known(metrics, key), known(metrics, f"{key}_scale")
        if value is not None and scale:
            distances.append((value - (known(metrics, f"{key}_floor") or 0.0)) / scale / tolerance)
    return max(distances, default=None)


def _of_other_kind(metrics: Mapping[str, Any]) -> bool:
    """Say whether held-out images differ so from training images that no distance from them tells much."""
    return (known(metrics, "two_sample_accuracy_floor") or 0.0) > OTHER_KIND


def _told_apart(metrics: Mapping[str, Any]) -> str:
    accuracy = known(metrics, "two_sample_accuracy")
    if accuracy is None:
        return ""
    low, high = interval(metrics, "two_sample_accuracy") or (accuracy, accuracy)
    return (
        f"A simple classifier tells them from real images in {100 * accuracy:.0f} % of cases "
        f"({100 * low:.0f} to {100 * high:.0f} %; 50 % is chance)."
    )


def _beside_real(metrics: Mapping[str, Any], key: str) -> float:
    """Return a metric over that of real images; 1 where one is not known."""
    value, floor = known(metrics, key), known(metrics, f"{key}_floor")
    return 1.0 if value is None or not floor else value / floor


def _variety(metrics: Mapping[str, Any]) -> str:
    if known(metrics, "coverage") is None or not known(metrics, "coverage_floor"):
        return ""
    share = _beside_real(metrics, "coverage")
    if share >= WIDE:
        return "They are as varied as real images."
    return f"They cover {'part' if share >= HALF else 'little'} of the variety of real images."


def _repeats(metrics: Mapping[str, Any]) -> str:
    value, floor = known(metrics, "duplicates"), known(metrics, "duplicates_floor")
    if value is None or value <= max(REPEATED, 2 * (floor or 0.0)):
        return ""
    return f"{100 * value:.0f} % of them nearly repeat another sample."


def _copies(metrics: Mapping[str, Any]) -> str:
    if all(known(metrics, key) is None for key in KINDS):
        return ""
    share = _copied(metrics)
    return (
        f"{100 * share:.3g} % of them repeat a training image."
        if share
        else "They do not repeat training images."
    )


def _copied(metrics: Mapping[str, Any]) -> float:
    """Return the share of samples that repeat a training image; 0 if real images do so as often by chance."""
    worst = 0.0
    for key in KINDS:
        value, between = known(metrics, key) or 0.0, interval(metrics, key)
        if (between[0] if between else value) > (known(metrics, f"{key}_floor") or 0.0):
            worst = max(worst, value)
    return worst
