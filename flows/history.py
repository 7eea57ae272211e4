"""Every experiment of this repository, what changed, and what came of it: `python -m flows.history`.

With two revisions, what differs between them; with a model file, the revision that made it.
"""

import argparse
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows import objects, places
from flows.command_line import Parser, ending
from flows.git import Git
from flows.lineage import GRID, INCOMPARABLE, SCORER, Entry, Lineage, compare
from flows.record import ABSENT
from flows.templating import fill
from gan.errors import UserError
from gan.files import RUNS, sha256_file, write_bytes, write_text

PNG = b"\x89PNG\r\n\x1a\n"
SHA256 = re.compile("[0-9a-f]{64}")


def main() -> None:
    """Print the table (or a comparison, or a model's revision) and write the page."""
    arguments = _arguments()
    with ending():
        folder = places.project(".")
        lineage = Lineage(Git(folder))
        if arguments.model:
            print(origin(lineage, arguments.model))
        elif arguments.revision:
            print(comparison(*(lineage.entry(name) for name in arguments.revision)))
        else:
            entries = lineage.entries()
            if not entries:
                raise UserError("no commit here has a dvc.lock; `make repro`, then commit what git shows")
            print(json.dumps(rows(entries), indent=2) if arguments.json else table(entries))
            page = write_page(entries, folder / RUNS / "history")
            if not arguments.json:
                print(f"\n  page  {page.relative_to(folder)}")


def before(entry: Entry, entries: Mapping[str, Entry]) -> Entry | None:
    """Return the experiment that an entry came from, where there is one."""
    return next((entries[parent] for parent in entry.parents if parent in entries), None)


def rows(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the entries as data: revision, when, names, kind, what changed, metrics."""
    known = {entry.commit: entry for entry in entries}
    found = []
    for entry in entries:
        parent = before(entry, known)
        found.append(
            {
                "id": entry.commit,
                "before": parent.commit if parent else None,
                "when": entry.when,
                "subject": entry.subject,
                "names": entry.names,
                "kind": entry.kind,
                "change": compare(parent, entry).brief() if parent else "",
                "metrics": entry.shown(),
            }
        )
    return found


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
    return "\n".join(lines[1:])


def comparison(first: Entry, second: Entry) -> str:
    """Return what differs from one experiment to another, for a terminal."""
    change = compare(first, second)
    lines = [f"{entry.commit[:10]}  {entry.minute()}  {entry.subject}" for entry in (first, second)]
    old, new = first.shown(), second.shown()
    metrics = {key: (old.get(key, ABSENT), new.get(key, ABSENT)) for key in old | new}
    measured = "metrics" if first.same_scorer(second) else f"metrics, {INCOMPARABLE}"
    for title, pairs in ((measured, metrics), ("params", change.params), ("packages", change.packages)):
        if pairs:
            wide = max(map(len, pairs))
            lines += ["", title, *(f"  {key:<{wide}}  {was}  ->  {now}" for key, (was, now) in pairs.items())]
    for title, words in (("data", change.data), ("code", change.code)):
        if words:
            lines += ["", title, *(f"  {word}" for word in words)]
    if first.grid != second.grid:
        lines += ["", "samples/grid.png differs: side by side on the page of `python -m flows.history`"]
    return "\n".join(lines)


def origin(lineage: Lineage, text: str) -> str:
    """Return which experiments made a file, by its hash; ``text`` is its path, or its SHA-256.

    dvc.lock records MD5 hashes, pictures name their model by SHA-256. Which revision that was, each
    one's samples/grid.png says, and what models are still in the cache. Raises UserError where none did.
    """
    path = Path(text).expanduser()
    if path.is_file():
        md5 = objects.md5_file(path)
        found = [(entry, output) for entry, output, known in recorded(lineage) if known == md5]
        what = f"a file with these bytes (md5 {md5})"
    elif SHA256.fullmatch(text):
        found = made_by(lineage, text)
        what = "a model of this SHA-256, and the cache has none (`dvc fetch --all-commits`)"
    else:
        raise UserError(f"--model: {text}: no such file, and no SHA-256 in hexadecimal")
    if not found:
        raise UserError(f"{text}: no experiment here recorded {what}")
    return "\n".join(
        f"{entry.commit[:10]}  {entry.minute()}  {output}  {', '.join(entry.names)}".rstrip()
        for entry, output in found
    )


def recorded(lineage: Lineage) -> Iterator[tuple[Entry, str, str]]:
    """Yield every file that an experiment made, those in folders too, as experiment, path and MD5."""
    for entry in lineage.entries():
        for output, (_, md5) in entry.record.outputs().items():
            yield entry, output, md5
            files = objects.listing(lineage.cache, md5) if md5.endswith(".dir") else None
            yield from ((entry, f"{output}/{name}", known) for name, known in (files or {}).items())


def made_by(lineage: Lineage, sha256: str) -> list[tuple[Entry, str]]:
    """Return the experiments, and their files, that say or are the model of this SHA-256."""
    claim = f"ModelSha256>{sha256}<".encode()  # as gan/provenance/xmp.py writes it
    found = [(entry, GRID) for entry in lineage.entries() if claim in (entry.grid or b"")]
    if found:
        return found
    known: dict[str, bool] = {}
    for entry, output, md5 in recorded(lineage):
        place = objects.place(lineage.cache, md5)
        if output.startswith("models/") and md5 not in known:
            known[md5] = place.is_file() and sha256_file(place) == sha256
        if known.get(md5):
            found.append((entry, output))
    return found


def write_page(entries: Sequence[Entry], folder: Path) -> Path:
    """Write index.html and the grids beside it; return its path."""
    grids = {entry.commit: _write_grid(entry.grid, folder) for entry in entries}
    shared: dict[str, dict[str, Any]] = {"params": {}, "files": {}, "sources": {}, "packages": {}}
    compact = []
    for entry in entries:
        label = " ".join([entry.when[:10], entry.commit[:10], *entry.names, entry.subject])[:90]
        item: dict[str, Any] = {"id": entry.commit, "label": label, "metrics": entry.shown()}
        item["grid"], item["scorer"] = grids[entry.commit], entry.metrics.get(SCORER)
        for kind, values in (
            ("params", entry.record.params()),
            ("files", entry.files or {}),
            ("sources", entry.record.sources()),
            ("packages", entry.packages),
        ):
            text = json.dumps(values, sort_keys=True)
            item[kind] = hashlib.sha256(text.encode()).hexdigest()[:16]
            shared[kind][item[kind]] = values
        compact.append(item)
    figures = {
        "entries": [{**row, "grid": grids[row["id"]]} for row in rows(entries)],
        "metrics": list(dict.fromkeys(key for entry in entries for key in entry.shown())),
        "data": {"entries": compact, **shared},
        "incomparable": INCOMPARABLE,
    }
    write_text(folder / "index.html", fill("history.html.j2", figures))
    return folder / "index.html"


def _write_grid(grid: bytes | None, folder: Path) -> str | None:
    if grid is None or not grid.startswith(PNG):
        return None
    name = f"{hashlib.sha256(grid).hexdigest()[:16]}.png"
    if not (folder / name).exists():
        write_bytes(folder / name, grid)
    return name


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m flows.history", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("revision", nargs="*", help="two revisions to compare; none: all experiments")
    parser.add_argument(
        "--model", metavar="FILE|SHA256", help="say which experiment made this model, or any file"
    )
    parser.add_argument("--json", action="store_true", help="the table as JSON")
    arguments = parser.parse_args()
    if len(arguments.revision) not in (0, 2):
        parser.error("give two revisions to compare, or none for all experiments")
    return arguments


if __name__ == "__main__":
    main()
