"""Prefect artifacts and events. An error while sending them never fails a run."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.events import emit_event

from flows.judge.gate import Decision
from flows.judge.rebuild_verdict import Verdict, markdown
from flows.judge.stage_outcomes import Outcome, table
from flows.repo.model_versions import MODEL
from flows.system import logs
from gan import paths
from gan.urls import redacted, redacted_values

LARGEST = 1_000_000  # bytes of a picture that is put into Prefect's database


def outcomes(rows: Sequence[Outcome]) -> None:
    """Show the outcome of each stage."""
    if logs.in_run():
        with logs.unharmed("the table of stages"):
            create_table_artifact(
                redacted_values(table(rows)), key="stages", description="What became of each stage"
            )


def grid(tree: Path) -> None:
    """Show the sample grid as an image."""
    path = tree / paths.GRID
    if logs.in_run() and path.is_file() and path.stat().st_size <= LARGEST:
        picture = base64.b64encode(path.read_bytes()).decode()
        with logs.unharmed("the sample grid"):
            create_image_artifact(f"data:image/png;base64,{picture}", key="samples", description="Samples")


def links(pages: Mapping[str, str]) -> None:
    """Show links to the report and the validation page."""
    for page, address in pages.items():
        if logs.in_run() and page != "samples":
            with logs.unharmed(f"the link to the {page}"):
                create_link_artifact(address, page.capitalize(), key=page, description=address)


def decision(gate_decision: Decision) -> None:
    """Show the gate's checks."""
    if logs.in_run():
        rows = [
            {"check": row.name, "observed": row.observed, "wanted": row.wanted, "holds": row.holds}
            for row in gate_decision.checks
        ]
        with logs.unharmed("the gate's decision"):
            description = redacted(gate_decision.headline())
            create_table_artifact(redacted_values(rows), key="gate", description=description)


def metrics(rows: Sequence[Mapping[str, str]], against: str) -> None:
    """Show metrics beside those of the champion."""
    if logs.in_run() and rows:
        with logs.unharmed("the metrics"):
            create_table_artifact(
                redacted_values([dict(row) for row in rows]), key="metrics", description=against
            )


def verdict(rebuild_verdict: Verdict) -> None:
    """Show the verdict on a rebuild."""
    if logs.in_run():
        with logs.unharmed("the verdict"):
            description = redacted(rebuild_verdict.headline())
            create_markdown_artifact(
                redacted(markdown(rebuild_verdict)), key="verdict", description=description
            )


def failure(text: str, tail: Sequence[str]) -> None:
    """Show why a run failed, with the last lines of what failed."""
    with logs.unharmed("the failure"):
        lines = "\n".join(["", *(f"    {line}" for line in tail)])
        create_markdown_artifact(redacted(f"{text}\n{lines}"), key="failure", description=redacted(text))


def event(name: str, payload: Mapping[str, Any]) -> None:
    """Emit the event `ganflow.NAME` about the model; automations can react to it."""
    if logs.in_run():
        with logs.unharmed(f"the event ganflow.{name}"):
            resource = {"prefect.resource.id": f"ganflow.model.{MODEL}", "prefect.resource.name": MODEL}
            emit_event(f"ganflow.{name}", resource, payload=redacted_values(dict(payload)))


def trials(rows: Sequence[Mapping[str, str]]) -> None:
    """Show the results of a sweep's trials."""
    if logs.in_run():
        with logs.unharmed("the table of trials"):
            create_table_artifact(
                redacted_values([dict(row) for row in rows]), key="trials", description="The best first"
            )
