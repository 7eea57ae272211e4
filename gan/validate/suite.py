"""Great Expectations: run rules over frames in memory; its own pages on request."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import: nothing phones home

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig

from gan.validate.rules import FrameName, Rule

SHOWN = 12  # rows that are named for each expectation
FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": SHOWN}


def run(
    suite: Sequence[Rule], frames: Mapping[FrameName, pd.DataFrame], pages: Path | None = None
) -> list[dict[str, Any]]:
    """Run each rule over its frame; return the outcomes as the library gives them, in the rules' order.

    Rows are given by the frames' index, the first ``SHOWN`` of them. ``pages``: an empty folder for the
    library's own pages (Data Docs); their times and ids differ from run to run.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    if pages is not None:
        _add_site(context, pages)
    by_index: dict[int, dict[str, Any]] = {}
    source = context.data_sources.add_pandas("memory")
    for name, frame in frames.items():
        expectations = []
        for index, rule in enumerate(suite):
            if rule.frame == name:
                rule.expectation.meta = {"place": index, "name": rule.name}
                expectations.append(rule.expectation)
        definition = gx.ValidationDefinition(
            name=name,
            data=source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all"),
            suite=context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations)),
        )
        outcome = definition.run(batch_parameters={"dataframe": frame}, result_format=FORMAT)
        for item in outcome.results:
            result: dict[str, Any] = dict(item.to_json_dict())
            by_index[result["expectation_config"]["meta"]["place"]] = result
    if pages is not None:
        context.build_data_docs()
    return [by_index[index] for index in range(len(suite))]


def _add_site(context: Any, folder: Path) -> None:
    for name in list(context.get_site_names()):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(
        site_name="pages",
        site_config={
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder.absolute()),
            },
        },
    )
