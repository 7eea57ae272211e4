"""Hold a manifest to its expectations with Great Expectations; a compact result that never varies."""

import os
from collections import Counter
from typing import Any

import pandas as pd

from gan.data.summary import Summary, summarise
from gan.params import Validate

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import: nothing phones home

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig

from gan.data.expectations import FrameName, Rule, rules

EXAMPLES = 3


def judge(manifest: pd.DataFrame, params: Validate) -> dict[str, Any]:
    """Return what becomes ``result.json``: success, worst severity, statistics, expectations.

    The library's times and ids are left out, so that one manifest gives one result.
    """
    summary = summarise(manifest)
    accepted = manifest[manifest["status"] == "ok"] if "status" in manifest else manifest
    frames: dict[FrameName, pd.DataFrame] = {
        "summary": pd.DataFrame([summary.figures]),
        "manifest": manifest,
        "accepted": accepted,
    }
    suite = rules(params, summary.labelled)
    judged: list[dict[str, Any]] = [{} for _ in suite]
    for name, frame in frames.items():
        places = [place for place, rule in enumerate(suite) if rule.frame == name]
        outcomes = _run([suite[place] for place in places], name, frame)
        for place, outcome in zip(places, outcomes, strict=True):
            judged[place] = _compact(suite[place], outcome, summary)
    failed = Counter(item["severity"] for item in judged if not item["success"])
    worst = next((severity for severity in ("critical", "warning") if failed[severity]), None)
    return {
        "success": worst is None,
        "worst": worst,
        "statistics": {
            **summary.statistics,
            "expectations": len(judged),
            "failed_critical": failed["critical"],
            "failed_warning": failed["warning"],
        },
        "expectations": judged,
    }


def line(item: dict[str, Any]) -> str:
    """Return one failed expectation as a line: what, observed, limit, how many, the first files."""
    if item["observed"] is None:
        return f"{item['severity']}: {item['name']}: cannot be told, {item['error']}"
    count, shown = item["unexpected_count"], ", ".join(map(repr, item["examples"]))
    observed = f"{item['observed']:g}" if isinstance(item["observed"], float) else item["observed"]
    files = f"; {count} image{'s' * (count != 1)}: {shown}{' ...' * (count > EXAMPLES)}" if shown else ""
    return f"{item['severity']}: {item['name']}: {observed}, expected {item['limit']}{files}"


def _run(suite: list[Rule], name: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Run rules over one frame; return each one's outcome as the library gives it, in their order."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    batch = (
        context.data_sources.add_pandas("memory")
        .add_dataframe_asset(name)
        .add_batch_definition_whole_dataframe("all")
    )
    expectations = [rule.expectation for rule in suite]
    for place, expectation in enumerate(expectations):
        expectation.meta = {"place": place}
    definition = gx.ValidationDefinition(
        name=name,
        data=batch,
        suite=context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations)),
    )
    index = ["path"] if "path" in frame else []
    wanted = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
    if index:
        wanted["unexpected_index_column_names"] = index
    outcome = definition.run(batch_parameters={"dataframe": frame}, result_format=wanted)
    results: list[dict[str, Any]] = [dict(item.to_json_dict()) for item in outcome.results]
    found = {item["expectation_config"]["meta"]["place"]: item for item in results}
    return [found[place] for place in range(len(suite))]


def _compact(rule: Rule, outcome: dict[str, Any], summary: Summary) -> dict[str, Any]:
    result, config = outcome["result"], outcome["expectation_config"]
    column = config["kwargs"].get("column")
    item = {
        "name": rule.name,
        "expectation": config["type"],
        "column": column,
        "severity": config["severity"],
        "success": outcome["success"],
        "observed": None,
        "limit": rule.limit,
        "unexpected_count": 0,
        "examples": [],
    }
    error = _error(outcome["exception_info"])
    if error:
        return {**item, "error": error}
    if rule.frame == "summary":
        offenders = [] if outcome["success"] else summary.offenders.get(column, [])
        item |= {"observed": summary.figures[column], "unexpected_count": len(offenders)}
        return {**item, "examples": offenders[:EXAMPLES]}
    if column is None:
        return {**item, "observed": ", ".join(result["observed_value"])}
    rows = result.get("unexpected_index_list") or []
    paths = [str(row["path"]) for row in rows if "path" in row]
    count = int(result["unexpected_count"])
    observed = f"{count} of {result['element_count']} differ" if count else "all"
    return {**item, "observed": observed, "unexpected_count": count, "examples": paths[:EXAMPLES]}


def _error(info: dict[str, Any]) -> str | None:
    """Return the message of an expectation that could not be evaluated (a missing column, say)."""
    found = (
        [info] if "raised_exception" in info else [item for item in info.values() if isinstance(item, dict)]
    )
    return next((str(item["exception_message"]) for item in found if item.get("raised_exception")), None)
