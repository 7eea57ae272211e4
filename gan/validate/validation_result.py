"""Checking a manifest against its expectations, with a compact result that depends on the manifest alone."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gan.data.lookalikes import quoted
from gan.params import Validate
from gan.validate.expectations import rules
from gan.validate.manifest_summary import Summary, summarise
from gan.validate.reference_manifest import Reference
from gan.validate.repeated_images import Offenders
from gan.validate.rules import FrameName, Rule
from gan.validate.suite import SHOWN, run

EXAMPLES = 3
NAME = 120  # characters of a name in a line


@dataclass(frozen=True)
class Verdict:
    """The outcome of all expectations.

    ``result`` becomes result.json: success, worst severity, statistics, observed figures by key, drift,
    expectations. ``offenders``: by key of an expectation, the images that it points at, whether it holds or
    not; of those that the library found, the first 12.
    """

    result: dict[str, Any]
    offenders: dict[str, Offenders]


def judge(
    manifest: pd.DataFrame,
    params: Validate,
    reference: Reference | None = None,
    pages: Path | None = None,
    *,
    guessed: bool = True,
) -> Verdict:
    """Judge a manifest, against an earlier one if given. Raises UserError for an own rule that is no rule.

    ``guessed``: nobody said what the source's folders mean (data.layout is auto).
    ``pages``: an empty folder for Great Expectations' own pages. Its times and ids are left out of the
    result, so that one manifest gives one result.
    """
    manifest = manifest.reset_index(drop=True)
    summary = summarise(manifest, None if reference is None else reference.frame, params.classes)
    taken = manifest[(manifest["status"] == "ok").fillna(False)] if "status" in manifest else manifest
    frames: dict[FrameName, pd.DataFrame] = {
        "summary": pd.DataFrame([summary.figures]),
        "manifest": manifest,
        "accepted": taken,
    }
    suite = rules(params, summary, guessed)
    offenders: dict[str, Offenders] = {}
    judged, observed = [], {}
    for rule, outcome in zip(suite, run(suite, frames, pages), strict=True):
        rows = _offenders(rule, outcome, summary, manifest)
        if rows is not None and len(rows.rows):
            offenders[rule.key] = rows
        item = _compact(rule, outcome, summary, rows)
        judged.append(item)
        number = isinstance(item["observed"], (int, float))
        observed[rule.key] = item["observed"] if number else item["unexpected_count"]
    failed = Counter(item["severity"] for item in judged if not item["success"])
    worst = next((severity for severity in ("critical", "warning") if failed[severity]), None)
    result = {
        "success": worst is None,
        "worst": worst,
        "statistics": {
            **summary.statistics,
            **({} if reference is None else {"reference_sha256": reference.sha256}),
            "expectations": len(judged),
            "failed_critical": failed["critical"],
            "failed_warning": failed["warning"],
        },
        "observed": observed,
        "drift": {
            name: {"divergence": drift.divergence, "chance": drift.chance, "beyond": drift.beyond}
            for name, drift in summary.drift.items()
        },
        "expectations": judged,
    }
    return Verdict(result, offenders)


def line(item: Mapping[str, Any], classes: Collection[str] = ()) -> str:
    """Return one failed expectation as a line: what, observed, limit, how many, the first files.

    ``classes``: all there are or should be; one that prints like another is shown in escapes.
    """
    if item["observed"] is None:
        return f"{item['severity']}: {item['name']}: cannot be told, {item['error']}"
    count, examples = item["unexpected_count"], ", ".join(map(_named, item["examples"]))
    observed = f"{item['observed']:g}" if isinstance(item["observed"], float) else item["observed"]
    text = f"{item['severity']}: {item['name']}: {observed}, expected {item['limit']}"
    if item["classes"]:
        more = " ..." * (len(item["classes"]) > EXAMPLES)
        shown = [(name, quoted([name], classes)[0]) for name in item["classes"][:EXAMPLES]]
        text += f"; {', '.join(escaped if escaped != repr(n) else _named(n) for n, escaped in shown)}{more}"
    files = (
        f"; {count} image{'s' * (count != 1)}: {examples}{' ...' * (count > EXAMPLES)}" if examples else ""
    )
    return text + files


def _named(name: str) -> str:
    """Quote a name for a terminal: unprintable characters escaped, a long one without its middle."""
    return repr(name if len(name) <= NAME else f"{name[: NAME // 2]} … {name[-NAME // 2 :]}")


def _offenders(
    rule: Rule, outcome: Mapping[str, Any], summary: Summary, manifest: pd.DataFrame
) -> Offenders | None:
    if rule.frame == "summary":
        return summary.offenders.get(outcome["expectation_config"]["kwargs"].get("column"))
    indices = outcome["result"].get("partial_unexpected_index_list")
    return Offenders(manifest.loc[indices]) if indices else None


def _compact(
    rule: Rule, outcome: Mapping[str, Any], summary: Summary, offenders: Offenders | None
) -> dict[str, Any]:
    result, config = outcome["result"], outcome["expectation_config"]
    column = config["kwargs"].get("column")
    examples = []
    if offenders is not None and "path" in offenders.rows:
        first = offenders.rows["path"].head(EXAMPLES)
        examples = ["" if pd.isna(path) else str(path) for path in first]
    item = {
        "key": rule.key,
        "name": rule.name,
        "expectation": config["type"],
        "frame": rule.frame,
        "column": column,
        "severity": config["severity"],
        "success": outcome["success"],
        "observed": None,
        "limit": rule.limit,
        "unexpected_count": 0 if offenders is None else len(offenders.rows),
        "examples": examples,
        "classes": summary.classes.get(column, [])[:SHOWN] if rule.frame == "summary" else [],
    }
    error = _error(outcome["exception_info"])
    if error:
        return {**item, "error": error}
    if rule.frame == "summary" and column in summary.figures:
        return {**item, "observed": summary.figures[column]}
    if "unexpected_count" not in result:  # of the table or a whole column, not of each row
        value = result.get("observed_value")
        if isinstance(value, list):
            missing = result.get("details", {}).get("mismatched", {}).get("missing", [])
            value = "lacks " + ", ".join(map(str, missing)) if missing else "all"
        return {**item, "observed": value}
    count = int(result["unexpected_count"])
    observed = f"{count} of {result['element_count']} differ" if count else "all"
    return {**item, "observed": observed, "unexpected_count": count}


def _error(info: Mapping[str, Any]) -> str | None:
    """Return the message of an expectation that could not be evaluated (a missing column, say)."""
    exceptions = (
        [info] if "raised_exception" in info else [item for item in info.values() if isinstance(item, dict)]
    )
    return next((str(item["exception_message"]) for item in exceptions if item.get("raised_exception")), None)


def account(statistics: Mapping[str, Any]) -> list[str]:
    """Return lines about accepted and refused images, the reasons, and the outcome of the expectations."""
    classes = len(statistics["classes"])
    of_classes = f", {classes} classes" if classes else ", no classes"
    accepted = f"{statistics['accepted']} of {statistics['images']} images kept: "
    lines = [f"{accepted}{statistics['train']} to train on, {statistics['test']} held out{of_classes}"]
    reasons = [f"{count} {reason}" for reason, count in statistics["refused_by_reason"].items()]
    if reasons:
        lines.append(f"{statistics['refused']} refused: {', '.join(reasons)}")
    lines += [f"{count} set aside: {reason}" for reason, count in statistics["aside"].items()]
    critical, warnings = statistics["failed_critical"], statistics["failed_warning"]
    holding = statistics["expectations"] - critical - warnings
    lines.append(
        f"{holding} of {statistics['expectations']} expectations hold"
        + (f", {critical} fail critically" if critical else "")
        + (f", {warnings} warn" if warnings else "")
    )
    return lines
