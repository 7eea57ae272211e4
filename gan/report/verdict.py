"""How good the model is, in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from gan.report.metrics import interval, known


def verdict(metrics: Mapping[str, Any], failed: Sequence[Mapping[str, Any]]) -> str:
    """Say in a sentence how good the model is.

    Precision and recall stand for fidelity and diversity, each read against what real images score:
    within the interval, from 85 % of it on, from 50 % on, and below. ``failed``: expectations of the data.
    """
    looks = _rank(metrics, "precision", ("as good as all", "most", "many", "few"))
    covers = _rank(
        metrics,
        "recall",
        (
            "they are as varied as real images",
            "nearly all of the variety of real images is there",
            "some of the variety of real images is missing",
            "most of the variety of real images is missing",
        ),
    )
    parts = [part for part in (looks and f"{looks} samples look real", covers, _repeats(metrics)) if part]
    text = ", ".join(parts[:-1]) + (", and " if len(parts) > 1 else "") + "".join(parts[-1:])
    text = f"{text[:1].upper()}{text[1:]}." if text else "No metric was measured that tells how good it is."
    if failed:
        count = len(failed)
        text += f" {count} expectation{'s' if count > 1 else ''} of the data fail{'s' if count == 1 else ''}."
    return text


def _rank(metrics: Mapping[str, Any], key: str, words: tuple[str, str, str, str]) -> str:
    value, between = known(metrics, key), interval(metrics, key)
    floor = known(metrics, f"{key}_floor")
    if value is None:
        return ""
    floor = floor if floor else 1.0
    if (between[1] if between else value) >= floor:
        return words[0]
    return words[1] if value >= 0.85 * floor else words[2] if value >= 0.5 * floor else words[3]


def _repeats(metrics: Mapping[str, Any]) -> str:
    """Say whether samples repeat training images: more of them than real images do by chance."""
    found = [key for key in ("memorised", "memorised_pixels") if known(metrics, key) is not None]
    if not found:
        return ""
    worst = 0.0
    for key in found:
        value, between = known(metrics, key) or 0.0, interval(metrics, key)
        chance = known(metrics, f"{key}_floor") or 0.0
        if (between[0] if between else value) > chance:
            worst = max(worst, value)
    if not worst:
        return "they are not copies of training images"
    return f"{worst:.1%} of them repeat a training image"
