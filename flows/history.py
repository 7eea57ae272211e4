"""Every experiment of this repository, what changed, and what came of it: `python -m flows.history`.

With two revisions, what differs between them; with a model file, the revision that made it.
"""

import hashlib
import json
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.front_door import command_table
from flows.pages import TEMPLATES
from flows.repo import cache_objects, checkout
from flows.repo.commit_facts import GRID
from flows.repo.git import Git
from flows.repo.lineage import INCOMPARABLE, SCORER, Entry, Lineage, compare
from flows.repo.lock_file import ABSENT
from flows.system.exit_status import ending
from flows.system.pinned_environments import as_texts
from gan import xmp
from gan.errors import UserError
from gan.files import RUNS, sha256_file, write_bytes, write_text
from gan.templating import fill
from gan.urls import redacted, redacted_values

MOST_FILES = 1000  # of a data set that the page holds by name
ROWS = 50  # of the table that are shown at a time
PNG = b"\x89PNG\r\n\x1a\n"
SHA256 = re.compile("[0-9a-f]{64}")


def main(arguments: Namespace | None = None) -> None:
    """Print the table (or a comparison, or a model's revision) and write the page."""
    asked = arguments or command_table.arguments("history")
    with ending():
        folder = checkout.project(".")
        lineage = Lineage(Git(folder))
        if asked.model:
            print(origin(lineage, asked.model))
        elif asked.revision:
            print(comparison(*(lineage.entry(name) for name in asked.revision)))
        else:
            entries = lineage.entries()
            if not entries:
                raise UserError("no commit here has a dvc.lock; `make repro`, then commit what git shows")
            print(json.dumps(rows(entries), indent=2) if asked.json else table(entries))
            page = write_page(entries, lineage.git, folder / RUNS / "history")
            if not asked.json:
                print(f"\n  page  {page.relative_to(folder)}")


def before(entry: Entry, entries: Mapping[str, Entry]) -> Entry | None:
    """Return the experiment that an entry came from, where there is one."""
    return next((entries[parent] for parent in entry.parents if parent in entries), None)


def rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the entries as data: revision, when, names, kind, what changed, metrics."""
    known = {entry.commit: entry for entry in entries}
    table_rows = []
    for entry in entries:
        parent = before(entry, known)
        table_rows.append(
            {
                "id": entry.commit,
                "before": parent.commit if parent else None,
                "when": entry.when,
                "subject": entry.subject,
                "names": entry.names,
                "kind": entry.kind,
                "change": compare(parent, entry).brief() if parent else "",
                "metrics": entry.metric_texts(),
                "unpinned": as_texts(entry.unpinned),
            }
        )
    return table_rows


def table(entries: Sequence[Entry]) -> str:
    """Return the entries for a terminal: a block each, metrics in one line."""
    lines = []
    for entry, row in zip(entries, rows(entries), strict=True):
        names = f"  ({', '.join(entry.names)})" if entry.names else ""
        kind = "" if entry.kind == "commit" else f"  {entry.kind}"
        lines += ["", f"{entry.commit[:10]}  {entry.minute()}{kind}{names}", f"  {entry.subject}"]
        if row["before"]:
            lines += [f"  since {row['before'][:10]}: {row['change']}"]
        metrics = "  ".join(f"{name} {value}" for name, value in row["metrics"].items())
        lines += [f"  {metrics}"] if metrics else []
        lines += [f"  unpinned, {text}" for text in as_texts(entry.unpinned)]
    return "\n".join(lines[1:])


def comparison(first: Entry, second: Entry) -> str:
    """Return what differs from one experiment to another, for a terminal."""
    change = compare(first, second)
    lines = [f"{entry.commit[:10]}  {entry.minute()}  {entry.subject}" for entry in (first, second)]
    old, new = first.metric_texts(), second.metric_texts()
    metrics = {key: (old.get(key, ABSENT), new.get(key, ABSENT)) for key in old | new}
    measured = "metrics" if first.same_scorer(second) else f"metrics, {INCOMPARABLE}"
    for title, pairs in ((measured, metrics), ("params", change.params), ("packages", change.packages)):
        if pairs:
            wide = max(map(len, pairs))
            shareable = {key: (redacted(was), redacted(now)) for key, (was, now) in pairs.items()}
            lines += [
                "",
                title,
                *(f"  {key:<{wide}}  {was}  ->  {now}" for key, (was, now) in shareable.items()),
            ]
    for title, texts in (("data", change.data), ("code", change.code)):
        if texts:
            lines += ["", title, *(f"  {word}" for word in texts)]
    if first.facts.grid != second.facts.grid:
        lines += ["", f"{GRID} differs: side by side on the page of `python -m flows.history`"]
    return "\n".join(lines)


def origin(lineage: Lineage, text: str) -> str:
    """Return which experiments made a file, by its hash; ``text`` is its path, or its SHA-256.

    dvc.lock records MD5 hashes, pictures name their model by SHA-256. Which revision that was, each
    one's samples/grid.png says, and what models are still in the cache. Raises UserError where none did.
    """
    path = Path(text).expanduser()
    if path.is_file():
        md5 = cache_objects.md5_file(path)
        makers = [(entry, output) for entry, output, known in recorded(lineage) if known == md5]
        what = f"a file with these bytes (md5 {md5})"
    elif SHA256.fullmatch(text):
        makers = made_by(lineage, text)
        what = "a model of this SHA-256, and the cache has none (`dvc fetch --all-commits`)"
    else:
        raise UserError(f"--model: {text}: no such file, and no SHA-256 in hexadecimal")
    if not makers:
        raise UserError(f"{text}: no experiment here recorded {what}")
    return "\n".join(
        f"{entry.commit[:10]}  {entry.minute()}  {output}  {', '.join(entry.names)}".rstrip()
        for entry, output in makers
    )


def recorded(lineage: Lineage) -> Iterator[tuple[Entry, str, str]]:
    """Yield every file that an experiment made, those in folders too, as experiment, path and MD5."""
    listings: dict[str, dict[str, str]] = {}
    for entry in lineage.entries():
        for output, (_, md5) in entry.record.outputs().items():
            yield entry, output, md5
            if md5.endswith(".dir"):
                if md5 not in listings:
                    listings[md5] = cache_objects.listing(lineage.cache, md5) or {}
                yield from ((entry, f"{output}/{name}", known) for name, known in listings[md5].items())


def made_by(lineage: Lineage, sha256: str) -> list[tuple[Entry, str]]:
    """Return the experiments, and their files, that say or are the model of this SHA-256."""
    entries = lineage.entries()
    grids: dict[str | None, bool] = {None: False}
    for entry in entries:
        if (grid := entry.facts.grid) not in grids:
            grids[grid] = xmp.claims(lineage.git.blob(entry.commit, GRID) or b"", sha256)
    if makers := [(entry, GRID) for entry in entries if grids[entry.facts.grid]]:
        return makers
    makers = []
    known: dict[str, bool] = {}
    for entry, output, md5 in recorded(lineage):
        path = cache_objects.object_path(lineage.cache, md5)
        if output.startswith("models/") and md5 not in known:
            known[md5] = path.is_file() and sha256_file(path) == sha256
        if known.get(md5):
            makers.append((entry, output))
    return makers


def write_page(entries: Sequence[Entry], git: Git, folder: Path) -> Path:
    """Write index.html and the grids beside it, those of earlier pages removed; return its path."""
    grids = _write_grids(entries, git, folder)
    shared: dict[str, dict[str, Any]] = {"params": {}, "files": {}, "sources": {}, "packages": {}}
    compact = []
    for entry in entries:
        label = " ".join([entry.when[:10], entry.commit[:10], *entry.names, entry.subject])[:90]
        item: dict[str, Any] = {"id": entry.commit, "label": label, "metrics": entry.metric_texts()}
        item["grid"], item["scorer"] = grids.get(entry.facts.grid), entry.metrics.get(SCORER)
        item["pinned"] = bool(entry.record.packages())
        for kind, values in (
            ("params", redacted_values(entry.facts.params)),
            ("sources", entry.facts.sources),
            ("packages", entry.facts.packages),
        ):
            item[kind] = _once(shared[kind], values)
        files = entry.files or {}
        item["files"] = _once(shared["files"], files if len(files) <= MOST_FILES else _counted(files))
        compact.append(item)
    figures = {
        "entries": [
            {**row, "grid": grids.get(entry.facts.grid)}
            for row, entry in zip(rows(entries), entries, strict=True)
        ],
        "metrics": list(dict.fromkeys(key for entry in entries for key in entry.metric_texts())),
        "data": {"entries": compact, **shared},
        "incomparable": INCOMPARABLE,
        "rows_a_page": ROWS,
    }
    write_text(folder / "index.html", fill(TEMPLATES / "history.html.j2", figures))
    return folder / "index.html"


def _once(known: dict[str, Any], values: Mapping[str, Any]) -> str:
    """Keep values that several experiments share once; return their name."""
    text = json.dumps(values, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    known[name] = values
    return name


def _counted(files: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for more files than a page can hold: two sets of them still compare."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return {f"{len(files)} files": digest}


def _write_grids(entries: Sequence[Entry], git: Git, folder: Path) -> dict[str | None, str]:
    """Write the pictures that are not there yet; return their files by git's names of them."""
    wanted = {entry.facts.grid: entry.commit for entry in entries if entry.facts.grid}
    names = {grid: f"{grid[:16]}.png" for grid in wanted}
    there = {path.name for path in folder.glob("*.png")}
    absent = [grid for grid, name in names.items() if name not in there]
    for start in range(0, len(absent), 50):  # so many in memory at a time
        some = absent[start : start + 50]
        for (commit, _), content in git.blobs((wanted[grid], GRID) for grid in some).items():
            grid = next(grid for grid in some if wanted[grid] == commit)
            if content.startswith(PNG):
                write_bytes(folder / names[grid], content)
                there.add(names[grid])
    for name in there - set(names.values()):
        (folder / name).unlink(missing_ok=True)
    return {grid: name for grid, name in names.items() if name in there}


if __name__ == "__main__":
    main()
