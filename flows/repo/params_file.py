"""Values changed in the text of a params file. All else stays: comments, quotes, breaks of lines.

A library that writes the whole file anew has rules of its own: DVC's folds lines of more than 80 signs,
and leaves `null` out.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gan.errors import UserError
from gan.files import write_text
from gan.yaml12 import parse_yaml

PLAIN = re.compile(r"[\w~/.][\w~/.:+@%-]*")  # text that may need no quotes
COLON = re.compile(r"\s*:")
COMMENT = re.compile(r" +(?=#)")
Name = tuple[str, ...]


@dataclass(frozen=True)
class _Span:
    """Where a value stands in the text: from ``start`` to ``end``; the colon of its key ends at ``colon``."""

    colon: int
    start: int
    end: int


def change(path: Path, values: Mapping[str, Any]) -> None:
    """Change values of a params file by their full names (`train.seed`), each where it stands.

    Raises UserError if the file is no YAML, has no such key, or takes the value from elsewhere.
    """
    try:
        text = path.read_bytes().decode()
        write_text(path, _changed(text, {tuple(name.split(".")): value for name, value in values.items()}))
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: not UTF-8 text; save it as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path.name}: not valid YAML: {' '.join(str(error).split())}") from None
    except UserError as error:
        raise UserError(f"{path.name}: {error}") from None


def _changed(text: str, values: Mapping[Name, Any]) -> str:
    wanted, spans = parse_yaml(text), dict(_spans(text))
    for name, value in values.items():
        node = wanted
        for section in name[:-1]:
            node = node.get(section) if isinstance(node, dict) else None
        if not isinstance(node, dict) or name[-1] not in node:
            raise UserError(f"{'.'.join(name)}: unknown key; correct its name")
        node[name[-1]] = value
    changed = text
    # From the end, so that the spans before it stay.
    for name in sorted((name for name in values if name in spans), key=lambda name: -spans[name].start):
        changed = _replaced(changed, spans[name], written(values[name]))
    if repr(_parsed(changed)) != repr(wanted):
        names = ", ".join(".".join(name) for name in values)
        raise UserError(f"{names}: not to be changed alone, because of an anchor or alias; write it out")
    return changed


def _parsed(text: str) -> Any:
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError):
        return None


def _replaced(text: str, span: _Span, new: str) -> str:
    start, after = span.start, text[span.end :]
    between = text[span.colon : start]
    if not between.strip() and (not between or "\n" in between):  # none is there, or on another line
        start, new = span.colon, f" {new}"
    old = text[start : span.end]
    if "\n" not in old and (spaces := COMMENT.match(after)):  # the comment keeps its column
        after = " " * max(1, len(spaces[0]) + len(old) - len(new)) + after[spaces.end() :]
    return text[:start] + new + after


def _spans(text: str) -> Iterator[tuple[Name, _Span]]:
    """Yield every value of every section by its full name."""
    events = yaml.parse(text, Loader=yaml.SafeLoader)
    for event in events:
        if isinstance(event, yaml.MappingStartEvent):
            spans: list[tuple[Name, _Span]] = []
            _skim(text, event, events, (), spans)
            yield from spans


def _skim(
    text: str, event: Any, events: Iterator[Any], name: Name | None, spans: list[tuple[Name, _Span]]
) -> int:
    """Read the rest of a value that ``event`` begins, note what is in it, and return where it ends.

    ``name`` is None inside lists, where nothing has a name.
    """
    end = _end(event)
    if isinstance(event, yaml.SequenceStartEvent):
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            end = _skim(text, item, events, None, spans)
        return _end(item) if event.flow_style else end
    if isinstance(event, yaml.MappingStartEvent):
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            colon = _skim(text, key, events, None, spans)
            if sign := COLON.match(text, colon):
                colon = sign.end()
            full = None if name is None or not isinstance(key, yaml.ScalarEvent) else (*name, key.value)
            value = next(events)
            start, end = int(value.start_mark.index), _skim(text, value, events, full, spans)
            if full is not None:
                spans.append((full, _Span(colon, start, start + len(text[start:end].rstrip()))))
        return _end(key) if event.flow_style else end
    return end


def _end(event: Any) -> int:
    return int(event.end_mark.index)


def written(value: Any) -> str:
    """Return a value as YAML 1.2 on one line, however long it is."""
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(key)}: {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' * (value < 0)}.inf"
    return json.dumps(value)


def _is_plain(text: str) -> bool:
    """Say whether text needs no quotes: neither YAML 1.2 nor 1.1 takes it for something else."""
    if not PLAIN.fullmatch(text) or text.endswith(":"):
        return False
    try:
        return bool(parse_yaml(text) == text == yaml.safe_load(text))
    except ValueError:  # nearly a date
        return False


def _quoted(text: str) -> str:
    """Return text in quotes; what cannot be printed, line breaks too, as its number."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    signs = (sign if sign.isprintable() and sign not in '"\\' else f"\\U{ord(sign):08x}" for sign in text)
    return '"' + "".join(signs) + '"'
