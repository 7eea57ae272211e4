"""The gate: checks that decide whether a model becomes the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

from flows.repo.model_versions import REGARDLESS, Version
from gan.params import Gate


@dataclass(frozen=True)
class Check:
    """One condition: the observed value, the required value, and whether it holds."""

    name: str
    observed: str
    wanted: str
    holds: bool

    def describe(self) -> str:
        """Return it as a phrase for a line."""
        return f"{self.name}: {self.observed}, wanted {self.wanted}"


@dataclass(frozen=True)
class Decision:
    """The decision on a candidate, and its reasons."""

    candidate: str  # the revision as it was named
    commit: str
    champion: str | None  # the version that it was held against
    checks: list[Check]
    version: str | None = None  # as which it was promoted
    regardless: str | None = None  # why it was, though a check did not hold
    published: bool = False  # it was promoted before, and pushed now

    @property
    def refused(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.holds]

    def headline(self) -> str:
        """Return it in one line, with the reasons."""
        if self.published:
            return f"{self.candidate} ({self.commit[:10]}): {self.version} is published"
        against = f", in the place of {self.champion}" if self.champion else ", the first champion"
        reasons = "; ".join(check.describe() for check in self.refused)
        if self.version is None:
            return f"{self.candidate} ({self.commit[:10]}): refused: {reasons}"
        text = f"{self.candidate} ({self.commit[:10]}): promoted as {self.version}{against}"
        return f"{text}{REGARDLESS}{self.regardless}) of: {reasons}" if reasons else text

    def message(self) -> str:
        """Return the message of the version's tag."""
        rows = [f"{'holds' if check.holds else 'FAILS'}  {check.describe()}" for check in self.checks]
        return "\n".join([self.headline(), "", *rows, ""])

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "promoted": self.version is not None}


def own_checks(gate: Gate, metrics: Mapping[str, Any], faults: Sequence[str]) -> list[Check]:
    """Return the critical checks, which do not depend on the champion.

    ``faults``: errors in the candidate's record.
    """
    recorded = "; ".join(faults) or "every stage, validation among them"
    checks = [Check("recorded", recorded, "every stage, with this commit's params and code", not faults)]
    for name, least in (("precision", gate.min_precision), ("recall", gate.min_recall)):
        value = metrics.get(name)
        holds = isinstance(value, float | int) and value >= least
        checks.append(Check(name, _number(value), f"at least {least:g}", holds))
    if "label_divergence" in metrics:
        value = metrics["label_divergence"]
        holds = isinstance(value, float | int) and value <= gate.max_label_divergence
        wanted = f"at most {gate.max_label_divergence:g}"
        checks.append(Check("label divergence", _number(value), wanted, holds))
    return checks


def against_champion(gate: Gate, comparison: Mapping[str, Any], champion: Version) -> list[Check]:
    """Return the checks on the result of gan.evaluation.compare.

    The candidate is better if the whole interval of the difference in semantic kernel distance is below
    zero and the difference is at least the required gain. In texture it must not be worse by more than the
    interval.
    """
    z = NormalDist().inv_cdf((1 + gate.confidence) / 2)
    by_kind = {kind: comparison[kind] for kind in ("semantic", "texture")}
    wanted = -gate.min_gain * max(by_kind["semantic"]["champion"], 0.0)
    difference = {kind: scores["difference"] for kind, scores in by_kind.items()}
    half = {kind: z * scores["difference_sd"] for kind, scores in by_kind.items()}
    seen = {
        kind: f"{scores['candidate']:.3g} against {champion.name}'s {scores['champion']:.3g}, "
        f"{difference[kind]:+.3g} ± {half[kind]:.2g}"
        for kind, scores in by_kind.items()
    }
    return [
        Check(
            "kernel distance, semantic",
            seen["semantic"],
            f"less by more than the ± at {gate.confidence:.0%}"
            + (f", and by {-wanted:.3g} at least" if wanted else ""),
            difference["semantic"] + half["semantic"] < 0 and difference["semantic"] <= wanted,
        ),
        Check(
            "kernel distance, texture",
            seen["texture"],
            "not more by more than the ±",
            difference["texture"] - half["texture"] <= 0,
        ),
    ]


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float | int) else "not measured"
