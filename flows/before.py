"""Today's metrics beside those of the last committed run: is the difference beyond its interval?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

from flows.git import Git
from flows.outcome import RESULTS
from flows.record import LOCK, read_record
from gan.errors import UserError

METRICS = RESULTS["metrics"]
Z = 1.96  # half a 95 % interval of a normal distribution, in standard deviations
HELD_OUT = "data/prepared/test.safetensors"
LOOKED_AT = 100  # commits


@dataclass(frozen=True)
class Before:
    """The last committed run whose metrics differ from today's."""

    commit: str
    subject: str
    metrics: dict[str, Any]
    held_out: str | None  # the hash of the images that it was held against


@dataclass(frozen=True)
class Row:
    """One metric of two runs, in words; ``verdict``: better | worse | same | unknown | other."""

    name: str
    better: str
    now: str
    now_interval: str
    then: str
    then_interval: str
    difference: str
    difference_interval: str
    verdict: str
    words: str


def last_committed(git: Git, today: Mapping[str, Any]) -> Before | None:
    """Return the newest commit whose metrics are not today's: HEAD, or one from before that changed them."""
    log = git.ask("log", f"--max-count={LOOKED_AT}", "--format=%H %s", "HEAD", "--", METRICS)
    for line in (log or "").splitlines():
        commit, _, subject = line.partition(" ")
        try:
            found = json.loads(git.text(commit, METRICS))
        except ValueError:  # not there in this commit, or not JSON
            continue
        if isinstance(found, dict) and found != today:
            return Before(commit, subject, found, held_out(git.text(commit, LOCK)))
    return None


def held_out(lock: str) -> str | None:
    """Return the hash of the held-out images that a dvc.lock names."""
    try:
        return read_record(lock.encode(), LOCK).outputs().get(HELD_OUT, ("", None))[1]
    except UserError:
        return None


def rows(
    names: Sequence[Mapping[str, Any]], today: Mapping[str, Any], before: Before, images: str | None
) -> list[Row]:
    """Return a row for each metric that either run has; ``images``: today's held-out images' hash."""
    found = [
        metric for metric in names if not _missing(metric, today) or not _missing(metric, before.metrics)
    ]
    return [_row(metric, today, before, images) for metric in found]


def _missing(metric: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    return number(metrics, str(metric["key"])) is None


def _row(metric: Mapping[str, Any], today: Mapping[str, Any], before: Before, images: str | None) -> Row:
    key, then = str(metric["key"]), before.metrics
    difference, between, verdict, words = "", "", "unknown", "measured in one of them only"
    if not _missing(metric, today) and not _missing(metric, then):
        if reason := incomparable(metric, today, before, images):
            verdict, words = "other", f"not comparable: {reason}"
        else:
            gained = today[key] - then[key]
            difference = f"{gained:+.3g}" if gained else "0"
            verdict, words, between = judged(metric, today, then)
    figures = (*_figure(today, key), *_figure(then, key), difference, between)
    return Row(str(metric["name"]), str(metric["better"]), *figures, verdict, words)


def incomparable(
    metric: Mapping[str, Any], today: Mapping[str, Any], before: Before, images: str | None
) -> str:
    """Say why two values of a metric do not compare; empty where they do."""
    then = before.metrics
    if images != before.held_out:
        return "other held-out images"
    extractor = today.get("extractor_sha256")
    if not metric.get("pixels") and (extractor is None or extractor != then.get("extractor_sha256")):
        return "another extractor"
    if not metric.get("any_n") and today.get("n") != then.get("n"):
        return f"n was {then.get('n', 'not told')}"
    return ""


def judged(
    metric: Mapping[str, Any], today: Mapping[str, Any], then: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Say whether the difference is beyond its interval, and return that interval as text.

    The interval of a difference of two figures, each with its own: MOVER (Zou and Donner 2008), which
    takes them for independent. Both runs share the real images, so it is rather too wide.
    """
    key = str(metric["key"])
    value, before = number(today, key) or 0.0, number(then, key) or 0.0
    now_between, then_between = interval(today, key), interval(then, key)
    if now_between is None or then_between is None:
        return ("same", "the same", "") if value == before else ("unknown", "its interval is not known", "")
    difference = value - before
    low = difference - hypot(value - now_between[0], then_between[1] - before)
    high = difference + hypot(now_between[1] - value, before - then_between[0])
    between = f"{low:+.2g} to {high:+.2g}"
    if low <= 0 <= high:
        return "same", "the same" if value == before else "within the interval", between
    good = (difference < 0) == (metric["better"] == "lower")
    verdict = "better" if good else "worse"
    return verdict, f"{verdict}, beyond the interval", between


def number(metrics: Mapping[str, Any], key: str) -> float | None:
    """Return a figure; None where there is none."""
    value = metrics.get(key)
    return float(value) if isinstance(value, float | int) and not isinstance(value, bool) else None


def interval(metrics: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """Return a figure's 95 % interval: its own, or from its deviation; None where neither is known."""
    low, high = number(metrics, f"{key}_low"), number(metrics, f"{key}_high")
    if low is not None and high is not None:
        return low, high
    value, deviation = number(metrics, key), number(metrics, f"{key}_sd")
    return None if value is None or deviation is None else (value - Z * deviation, value + Z * deviation)


def _figure(metrics: Mapping[str, Any], key: str) -> tuple[str, str]:
    value, between = number(metrics, key), interval(metrics, key)
    if value is None:
        return "–", ""
    return f"{value:.3g}", "" if between is None else f"{between[0]:.3g} to {between[1]:.3g}"
