"""Today's metrics compared with those of the last committed run, with intervals of the differences."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any

from flows.repo import recorded_figures
from flows.repo.git import Git
from flows.repo.lock_file import LOCK, read_record
from gan import paths
from gan.errors import UserError
from gan.metric_table import METRICS, Metric, interval, known

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
    """One metric of two runs as text; ``verdict``: better | worse | same | unknown | other.

    ``note``: what the difference means; for other, why there is none.
    """

    name: str
    better: str
    now: str
    now_interval: str
    then: str
    then_interval: str
    difference: str
    difference_interval: str
    verdict: str
    note: str


def last_committed(git: Git, today: Mapping[str, Any]) -> Before | None:
    """Return the newest commit with other metrics than today's: HEAD, or an earlier one."""
    log = git.ask("log", f"--max-count={LOOKED_AT}", "--format=%H %s", "HEAD", "--", *recorded_figures.FILES)
    for line in (log or "").splitlines():
        commit, _, subject = line.partition(" ")
        try:
            metrics = json.loads(recorded_figures.at(git, commit) or b"")
        except ValueError:  # not there in this commit, or not JSON
            continue
        if isinstance(metrics, dict) and metrics != today:
            return Before(commit, subject, metrics, held_out(git.text(commit, LOCK)))
    return None


def held_out(lock: str) -> str | None:
    """Return the hash of the held-out images that a dvc.lock names."""
    try:
        return read_record(lock.encode(), LOCK).outputs().get(str(paths.TEST_SET), ("", None))[1]
    except UserError:
        return None


def rows(today: Mapping[str, Any], before: Before, images: str | None) -> list[Row]:
    """Return a row for each metric of either run; ``images``: the hash of today's held-out images."""
    return [
        _row(metric, today, before, images)
        for metric in METRICS
        if known(today, metric.key) is not None or known(before.metrics, metric.key) is not None
    ]


def _row(metric: Metric, today: Mapping[str, Any], before: Before, images: str | None) -> Row:
    key, then = metric.key, before.metrics
    difference, between, verdict = "", "", "unknown"
    note = f"measured in {'the run before' if known(today, key) is None else 'this run'} only"
    if known(today, key) is not None and known(then, key) is not None:
        if reason := incomparable(metric, today, before, images):
            verdict, note = "other", reason
        else:
            gained = today[key] - then[key]
            difference = f"{gained:+.3g}" if gained else "0"
            verdict, note, between = judged(metric, today, then)
    figures = (*_figure(today, key), *_figure(then, key), difference, between)
    return Row(metric.name, metric.better, *figures, verdict, note)


def incomparable(metric: Metric, today: Mapping[str, Any], before: Before, images: str | None) -> str:
    """Return why two values of a metric cannot be compared; empty if they can."""
    then = before.metrics
    if images != before.held_out:
        return "other held-out images"
    extractor = today.get("extractor_sha256")
    if not metric.pixels and (extractor is None or extractor != then.get("extractor_sha256")):
        return "another extractor"
    if not metric.any_n and today.get("n") != then.get("n"):
        return f"another n ({then.get('n', 'not told')} before)"
    return ""


def judged(metric: Metric, today: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the verdict, its wording, and the 95 % interval of the difference as text.

    The interval combines those of both figures by MOVER (Zou and Donner 2008), which assumes that they are
    independent. Both runs share the real images, so the interval is rather too wide.
    """
    key = metric.key
    value, before = known(today, key) or 0.0, known(then, key) or 0.0
    now_between, then_between = interval(today, key), interval(then, key)
    if now_between is None or then_between is None:
        return ("same", "the same", "") if value == before else ("unknown", "its interval is not known", "")
    difference = value - before
    low = difference - hypot(value - now_between[0], then_between[1] - before)
    high = difference + hypot(now_between[1] - value, before - then_between[0])
    between = f"{low:+.2g} to {high:+.2g}"
    if low <= 0 <= high:
        return "same", "the same" if value == before else "within the interval", between
    good = (difference < 0) == (metric.better == "lower")
    verdict = "better" if good else "worse"
    return verdict, f"{verdict}, beyond the interval", between


def _figure(metrics: Mapping[str, Any], key: str) -> tuple[str, str]:
    value, between = known(metrics, key), interval(metrics, key)
    if value is None:
        return "–", ""
    return f"{value:.3g}", "" if between is None else f"{between[0]:.3g} to {between[1]:.3g}"
