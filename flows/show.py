"""What people look at in Prefect: artifacts and events. Showing never fails a run."""

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

from flows import logs
from flows.gate import Decision
from flows.outcome import Outcome, table
from flows.registry import MODEL
from flows.verdict import Verdict, markdown

GRID = "samples/grid.png"
LARGEST = 1_000_000  # bytes of a picture that is put into Prefect's database


def outcomes(rows: Sequence[Outcome]) -> None:
    """Show what became of each stage."""
    if logs.in_run():
        with logs.unharmed("the table of stages"):
            create_table_artifact(table(rows), key="stages", description="What became of each stage")


def grid(tree: Path) -> None:
    """Show the sample grid, the picture itself."""
    path = tree / GRID
    if logs.in_run() and path.is_file() and path.stat().st_size <= LARGEST:
        picture = base64.b64encode(path.read_bytes()).decode()
        with logs.unharmed("the sample grid"):
            create_image_artifact(f"data:image/png;base64,{picture}", key="samples", description="Samples")


def links(pages: Mapping[str, str]) -> None:
    """Show where the report and the validation are."""
    for page, address in pages.items():
        if logs.in_run() and page != "samples":
            with logs.unharmed(f"the link to the {page}"):
                create_link_artifact(address, page.capitalize(), key=page, description=address)


def decision(found: Decision) -> None:
    """Show the gate's checks, and the metrics against the champion's."""
    if logs.in_run():
        rows = [
            {"check": row.name, "observed": row.observed, "wanted": row.wanted, "holds": row.holds}
            for row in found.checks
        ]
        with logs.unharmed("the gate's decision"):
            create_table_artifact(rows, key="gate", description=found.headline())


def metrics(rows: Sequence[Mapping[str, str]], against: str) -> None:
    """Show metrics beside those of the champion."""
    if logs.in_run() and rows:
        with logs.unharmed("the metrics"):
            create_table_artifact([dict(row) for row in rows], key="metrics", description=against)


def verdict(found: Verdict) -> None:
    """Show what a rebuild found."""
    if logs.in_run():
        with logs.unharmed("the verdict"):
            create_markdown_artifact(markdown(found), key="verdict", description=found.headline())


def failure(text: str, tail: Sequence[str]) -> None:
    """Show why a run failed, with the last lines of what failed."""
    with logs.unharmed("the failure"):
        lines = "\n".join(["", *(f"    {line}" for line in tail)])
        create_markdown_artifact(f"{text}\n{lines}", key="failure", description=text)


def event(name: str, payload: Mapping[str, Any]) -> None:
    """Emit `ganflow.NAME` about the model, for automations to act on."""
    if logs.in_run():
        with logs.unharmed(f"the event ganflow.{name}"):
            resource = {"prefect.resource.id": f"ganflow.model.{MODEL}", "prefect.resource.name": MODEL}
            emit_event(f"ganflow.{name}", resource, payload=dict(payload))


def trials(rows: Sequence[Mapping[str, str]]) -> None:
    """Show what became of a sweep's trials."""
    if logs.in_run():
        with logs.unharmed("the table of trials"):
            create_table_artifact([dict(row) for row in rows], key="trials", description="The best first")
