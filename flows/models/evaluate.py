"""Past models, measured by today's evaluation: `python -m flows.models.evaluate --all`.

Figures of two revisions compare only where the extractor, the held-out images and the metrics were the same.
So today's stages `sample` and `evaluate` run again, in a folder of their own, on the generator of each
revision. The revisions are not touched. A result is kept by the hashes of the model and of all that measured
it, so the next call measures only what is new.
"""

import hashlib
import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.front_door import command_table
from flows.pages import TEMPLATES
from flows.repo import cache_objects, checkout, dvc_graph, model_versions
from flows.repo.git import Git
from flows.repo.lineage import Entry, Lineage
from flows.system.exit_status import ending
from flows.system.processes import Commands, last_line
from flows.system.variables import environment
from gan import metric_table, paths
from gan.errors import UserError
from gan.files import RUNS, read_json, run_lock, write_json, write_text
from gan.templating import fill
from gan.urls import redacted

FOLDER = RUNS / "evaluate"
MODELS = (str(paths.GENERATOR), str(paths.FINAL))
NEEDED = (paths.TRAIN_SET, paths.TEST_SET, paths.EXTRACTOR)  # today's, which measure
STAGES = ("sample", "evaluate")
COLUMNS = 6  # of the table in a terminal, at most


@dataclass
class Row:
    """One revision: its figures, or why it has none."""

    entry: Entry
    models: dict[str, str]  # the MD5 of each file that is measured
    figures: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    grid: str = ""  # of samples, beside the page


def main(arguments: Namespace | None = None) -> None:
    """Measure what is asked for, print the table, write the page."""
    asked = arguments or command_table.arguments("evaluate")
    with ending():
        folder = checkout.project(".")
        lineage = Lineage(Git(folder))
        rows = chosen(lineage, asked)
        evaluator = Evaluator(folder)
        with run_lock(checkout.lock_name(folder, "evaluate-models")):
            for number, row in enumerate(rows, 1):
                print(f"evaluate  {number}/{len(rows)}  {row.entry.commit[:10]}", file=sys.stderr, flush=True)
                evaluator.measure(row)
        print(json.dumps(as_data(rows), indent=2) if asked.json else table(rows))
        page = write_page(rows, folder)
        if not asked.json:
            print(f"\n  page  {page.relative_to(folder)}")
        if not any(row.figures for row in rows):
            raise UserError("no model could be measured; the table says why")


def chosen(lineage: Lineage, asked: Namespace) -> list[Row]:
    """Return a row for each revision asked for, newest first. Raises UserError where there is none."""
    if asked.promoted:
        entries = [lineage.entry(version.tag) for version in reversed(model_versions.versions(lineage.git))]
        none = "no version is promoted yet; `ganflow promote REVISION` makes the first"
    elif asked.all:
        entries, none = lineage.entries(), "no commit here has a dvc.lock; `make repro`, then commit"
    else:
        entries, none = list(_named(lineage, asked.revision)), f"{' '.join(asked.revision)}: records no model"
    rows = [
        Row(entry, {path: outputs[path][1] for path in MODELS})
        for entry in entries
        if set(MODELS) <= (outputs := entry.record.outputs()).keys()
    ]
    if not rows:
        raise UserError(none)
    return rows[: asked.most]


def _named(lineage: Lineage, names: Sequence[str]) -> Iterator[Entry]:
    """Yield the experiments of revisions and of ranges (A..B)."""
    for name in names:
        start, dots, end = name.partition("..")
        if not dots:
            yield lineage.entry(model_versions.resolve(lineage.git, name).commit)
            continue
        first = model_versions.resolve(lineage.git, start).commit if start else ""
        last = model_versions.resolve(lineage.git, end or "HEAD").commit
        between = lineage.git.ask("rev-list", last, *([f"^{first}"] if first else [])) or ""
        within = set(between.split())
        yield from (entry for entry in lineage.entries() if entry.commit in within)


class Evaluator:
    """Today's evaluation: its data, extractor, params and code. Raises UserError where one is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if absent := [str(path) for path in NEEDED if not (folder / path).is_file()]:
            raise UserError(f"{', '.join(absent)}: not here; `dvc repro extractor` makes what measures")
        self.cache = dvc_graph.cache_folder(folder)
        self.identity = self._identity()

    def _identity(self) -> str:
        """Return the hash of all that measures: sources, params, pins, data and extractor."""
        text = [(self.folder / path).read_bytes() for path in (paths.PARAMS, paths.PINS)]
        sources = sorted((self.folder / "gan").rglob("*.py"))
        text += [cache_objects.md5_file(self.folder / path).encode() for path in NEEDED]
        text += [cache_objects.md5_source(path).encode() for path in sources]
        return hashlib.sha256(b"\0".join(text)).hexdigest()

    def measure(self, row: Row) -> None:
        """Fill a row, from what is kept or by measuring."""
        key = hashlib.sha256(f"{self.identity} {sorted(row.models.items())}".encode()).hexdigest()[:16]
        kept, grid = self.folder / FOLDER / f"{key}.json", self.folder / FOLDER / f"{key}.png"
        if not kept.is_file():
            row.why = self._bring(row) or self._run(row.models, kept, grid)
            if row.why:
                return
        row.figures, row.grid = read_json(kept), grid.name

    def _bring(self, row: Row) -> str:
        """Fetch the model where the cache lacks it; return why it cannot be had, or an empty text."""
        stages = [row.entry.record.outputs()[path][0] for path in row.models]
        faults, reason = cache_objects.bring(self.folder, row.entry.commit, row.models, stages)
        if not faults:
            return ""
        again = f"`ganflow reproduce {row.entry.commit[:10]} --restore` makes it anew"
        return f"neither in the cache nor in the remote ({reason}); {again}"

    def _run(self, models: Mapping[str, str], kept: Path, grid: Path) -> str:
        """Run the stages on models (MD5 by path); return why that failed, or an empty text."""
        work = self.folder / FOLDER / "work"
        shutil.rmtree(work, ignore_errors=True)
        try:
            self._lay_out(work, models)
            for stage in STAGES:
                lines: list[str] = []
                variables = environment(self.folder) | {"PYTHONPATH": os.fspath(self.folder)}
                argv = [sys.executable, "-m", f"gan.stages.{stage}"]
                if Commands(work, variables).run(argv, lines.append):
                    return redacted(last_line(lines).removeprefix("error: "))
            shutil.copyfile(work / paths.GRID, grid)
            write_json(kept, read_json(work / paths.EVALUATION))
            return ""
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _lay_out(self, work: Path, models: Mapping[str, str]) -> None:
        """Make the folder of a checkout: today's params, data and extractor, and the models."""
        files = {path: (self.folder / path).resolve() for path in (*NEEDED, paths.PARAMS, paths.PINS)}
        files |= {Path(path): cache_objects.object_path(self.cache, md5) for path, md5 in models.items()}
        for path, source in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).symlink_to(source)


def columns(rows: Sequence[Row], most: int | None = None) -> list[metric_table.Metric]:
    """Return the metrics that any row has, the decisive ones first."""
    known = {metric.key: metric for metric in metric_table.METRICS}
    order = [*metric_table.DECISIVE, *known]
    here = [key for key in dict.fromkeys(order) if key in known and any(key in row.figures for row in rows)]
    return [known[key] for key in here[:most]]


def text(figures: Mapping[str, Any], key: str) -> str:
    """Return a figure with half of its 95 % interval, where both are known."""
    value, between = metric_table.known(figures, key), metric_table.interval(figures, key)
    if value is None:
        return ""
    half = "" if between is None else f" ± {(between[1] - between[0]) / 2:.2g}"
    return f"{metric_table.number(value)}{half}"


def as_data(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as data, the figures with all that stands beside them."""
    return [
        {
            "id": row.entry.commit,
            "when": row.entry.when,
            "names": row.entry.names,
            "subject": row.entry.subject,
            "models_md5": row.models,
            "figures": row.figures,
            "why_not": row.why,
        }
        for row in rows
    ]


def table(rows: Sequence[Row]) -> str:
    """Return the rows for a terminal: a line each, and a second one with why it has no figures."""
    metrics = columns(rows, COLUMNS)
    lines = [["revision", "when", *(metric.key for metric in metrics)]]
    lines += [
        [row.entry.commit[:10], row.entry.when[:10], *(text(row.figures, metric.key) for metric in metrics)]
        for row in rows
    ]
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = ["  ".join(f"{cell:<{w}}" for cell, w in zip(line, wide, strict=True)).rstrip() for line in lines]
    notes = [f"{row.entry.commit[:10]}: {row.why}" for row in rows if row.why]
    return "\n".join([*shown, *([""] if notes else []), *notes])


def write_page(rows: Sequence[Row], folder: Path) -> Path:
    """Write .runs/evaluate/index.html and return its path."""
    metrics = columns(rows)
    entries = [
        {
            "id": row.entry.commit[:10],
            "when": row.entry.minute(),
            "names": row.entry.names,
            "subject": row.entry.subject,
            "grid": row.grid,
            "why": row.why,
            "figures": [text(row.figures, metric.key) for metric in metrics],
        }
        for row in rows
    ]
    page = folder / FOLDER / "index.html"
    write_text(page, fill(TEMPLATES / "evaluate.html.j2", {"metrics": metrics, "entries": entries}))
    return page


if __name__ == "__main__":
    main()
