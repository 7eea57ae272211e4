"""How good the model is, in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from gan.report.metrics import interval, known

GOOD, FAIR = 0.85, 0.5  # shares of what real images score
LOOKS = ("as good as all samples look real", "most samples look real", "many samples do not look real")
LOOKS_LEAST = "few samples look real"
COVERS = (
    "they are as varied as real images",
    "they show nearly all of the variety of real images",
    "some of the variety of real images is missing",
)
COVERS_LEAST = "most of the variety of real images is missing"


def verdict(metrics: Mapping[str, Any], failed: Sequence[Mapping[str, Any]]) -> str:
    """Say in a sentence how good the model is.

    Precision and recall stand for fidelity and diversity, each read against what real images score:
    within its interval, from 85 % of it on, from 50 % on, and below. ``failed``: expectations of the data.
    """
    looks = _rank(metrics, "precision", (*LOOKS, LOOKS_LEAST))
    parts = [looks, _repeats(metrics), _rank(metrics, "recall", (*COVERS, COVERS_LEAST))]
    text = _joined([part for part in parts if part])
    text = f"{text[:1].upper()}{text[1:]}." if text else "No metric was measured that tells how good it is."
    if failed:
        count = len(failed)
        text += f" {count} expectation{'s' if count > 1 else ''} of the data fail{'s' if count == 1 else ''}."
    return text


def _joined(parts: Sequence[str]) -> str:
    return ", and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _rank(metrics: Mapping[str, Any], key: str, words: Sequence[str]) -> str:
    value, between = known(metrics, key), interval(metrics, key)
    if value is None:
        return ""
    floor = known(metrics, f"{key}_floor") or 1.0
    if (between[1] if between else value) >= floor:
        return words[0]
    return words[1] if value >= GOOD * floor else words[2] if value >= FAIR * floor else words[3]


def _repeats(metrics: Mapping[str, Any]) -> str:
    """Say whether samples repeat training images: more of them than real images do by chance."""
    found = [key for key in ("memorised", "memorised_pixels") if known(metrics, key) is not None]
    if not found:
        return ""
    worst = 0.0
    for key in found:
        value, between = known(metrics, key) or 0.0, interval(metrics, key)
        if (between[0] if between else value) > (known(metrics, f"{key}_floor") or 0.0):
            worst = max(worst, value)
    if worst:
        return f"{100 * worst:.3g} % of them repeat a training image"
    return "they do not repeat training images"
