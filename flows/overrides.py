"""Params for one run: `-S train.epochs=5`, put into the params.yaml of a worktree and checked there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flows import graph, places
from gan.errors import UserError
from gan.params import PARAMS_FILE, parse


def split(text: str) -> tuple[str, str]:
    """Return the name and the value of `NAME=VALUE`. Raises UserError."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise UserError(f"-S {text}: not NAME=VALUE, such as train.epochs=5")
    return name.strip(), value.strip()


def value(text: str, where: str) -> Any:
    """Read a value as params.yaml would: 1e-4 is a number, null is none. Raises UserError."""
    try:
        return parse(text)
    except (yaml.YAMLError, ValueError):
        raise UserError(f"{where}: {text}: not a value as in params.yaml; quote text") from None


def parse_all(texts: Sequence[str]) -> dict[str, Any]:
    """Read several `NAME=VALUE`. Raises UserError, also where a name stands twice."""
    found: dict[str, Any] = {}
    for text in texts:
        name, rest = split(text)
        if name in found:
            raise UserError(f"-S {name}: stands twice; keep one")
        found[name] = value(rest, f"-S {name}")
    return found


def apply(tree: Path, values: Mapping[str, Any], revision: str) -> None:
    """Change params.yaml in a worktree, comments kept, and check all of it. Raises UserError."""
    if values:
        graph.set_params(tree / PARAMS_FILE, values)
    places.params(tree, revision)
