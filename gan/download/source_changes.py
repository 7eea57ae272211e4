"""What changed in a source since its last download here, under the same name.

The record is outside data/raw, because DVC empties a stage's outs before it runs.
"""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from gan.data.inventory import Contents, Inventory
from gan.data.lookalikes import quoted
from gan.errors import UserError
from gan.files import RUNS, read_json, write_json

_SOURCES = RUNS / "sources"
_NAMED = 3  # files that are named of each kind of change

Marks = dict[str, str]  # path, or path in the archive: what changes when the file does


def marks(inventory: Inventory, contents: Contents) -> dict[str, Marks]:
    """Return the fingerprints of a source's files, and of the entries of its archive."""
    files = {str(file["path"]): str(file["sha256"]) for file in inventory.files}
    return {"files": files, "entries": (contents.entries or {}) if inventory.kind == "archive" else {}}


def compare_with_last(source: str, now: Mapping[str, Marks]) -> str | None:
    """Return what changed since ``source`` was last recorded, or None; then record its present state."""
    path = _SOURCES / f"{hashlib.sha256(source.encode(errors='surrogateescape')).hexdigest()[:16]}.json"
    before = _read(path)
    if before != now:
        write_json(path, now)
    return None if before is None or before == now else _difference(before, now)


def _read(path: Path) -> dict[str, Marks] | None:
    try:
        record = read_json(path)
    except UserError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("files"), dict) else None


def _difference(before: Mapping[str, Marks], now: Mapping[str, Marks]) -> str:
    for what in ("entries", "files"):
        old, new = before.get(what) or {}, now.get(what) or {}
        changed = [name for name in new if name in old and old[name] != new[name]]
        kinds = {"changed": changed, "new": [*new.keys() - old.keys()], "gone": [*old.keys() - new.keys()]}
        every = {*old, *new}
        changes = [f"{len(names)} {kind} ({_few(names, every)})" for kind, names in kinds.items() if names]
        if changes and ((old and new) or what == "files"):
            return ", ".join(changes)
    return "the record of its files, though not their bytes"


def _few(names: list[str], every: Collection[str]) -> str:
    shown = sorted(names)[:_NAMED]
    pairs = zip(shown, quoted(shown, every), strict=True)  # in quotes only where escapes show a difference
    first = ", ".join(quote if quote != repr(name) else name for name, quote in pairs)
    return first if len(names) <= _NAMED else f"{first}, …"
