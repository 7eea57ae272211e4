"""Params for one run, such as `-S train.epochs=5`: written to the params.yaml of a worktree and checked."""

import copy
import difflib
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml

from flows.repo import checkout, params_file
from flows.repo.git import Git
from flows.repo.lock_file import flatten
from gan import params as parameters
from gan import paths
from gan.errors import UserError
from gan.yaml12 import parse_yaml


def split(text: str) -> tuple[str, str]:
    """Return the name and the value of `NAME=VALUE`. Raises UserError."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise UserError(f"-S {text}: not NAME=VALUE, such as train.epochs=5")
    return name.strip(), value


def value(text: str, where: str) -> Any:
    """Read a value as params.yaml would: 1e-4 is a number, null is none. Raises UserError."""
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError):
        raise UserError(f"{where}: {text}: not a value as in params.yaml; quote text") from None


def literal(text: str, name: str = "") -> Any:
    """Read what was typed for the param ``name``. It needs no quotes but the shell's.

    A number, a truth value, null, a list in brackets and text in quotes are read as in params.yaml.
    Anything else is text as it stands, with its spaces, commas, `#` and `'`. So is all that a param takes
    which knows only text: a folder may be called 2024.
    """
    try:
        parsed = parse_yaml(text)
    except (yaml.YAMLError, ValueError):
        return text
    start, kinds = text.lstrip()[:1], _kinds(name)
    null = parsed is None and NoneType in kinds and start != "&"
    if kinds and not isinstance(parsed, str) and not null:
        return text
    if isinstance(parsed, str):
        return parsed if start in ("'", '"') else text
    if isinstance(parsed, list | dict):
        return parsed if start in ("[", "{") else text
    return text if len(text.split()) > 1 else parsed


def _kinds(name: str) -> set[Any]:
    """Return the types of a param that is text, and perhaps null; none for any other."""
    section, _, key = name.partition(".")
    for alias, field in parameters.Params.model_fields.items():
        fields = getattr(field.annotation, "model_fields", {})
        if section == (field.alias or alias) and key in fields:
            kind = fields[key].annotation
            parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
            kinds = {get_args(part)[0] if get_origin(part) is Annotated else part for part in parts}
            return kinds if kinds in ({str}, {str, NoneType}) else set()
    return set()


def check(folder: Path, values: Mapping[str, Any]) -> None:
    """Check params.yaml of a folder with these values in it, and leave it as it is. Raises UserError."""
    with tempfile.TemporaryDirectory() as beside:
        shutil.copy(folder / paths.PARAMS, beside)
        apply(Path(beside), values, "-S")


def parse_all(texts: Sequence[str]) -> dict[str, Any]:
    """Read several `NAME=VALUE`. Raises UserError, also where a name stands twice."""
    overrides: dict[str, Any] = {}
    for text in texts:
        name, rest = split(text)
        if name in overrides:
            raise UserError(f"-S {name}: stands twice; keep one")
        overrides[name] = literal(rest, name)
    return overrides


def check_at(git: Git, commit: str, overrides: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check what a commit's params.yaml would be with each of several sets of values, before anything runs.

    Each comes with what its error is to begin with. Raises UserError.
    """
    base = value(git.text(commit, str(paths.PARAMS)), f"{commit[:10]}: {paths.PARAMS}") or {}
    for where, values in overrides:
        content = copy.deepcopy(base)
        for name in values:
            *sections, key = name.split(".")
            node = content
            for section in sections:
                node = node.get(section) if isinstance(node, dict) else None
            if not isinstance(node, dict) or key not in node:
                near = difflib.get_close_matches(name, flatten(content), 1)
                meant = f"; did you mean {near[0]}?" if near else "; correct its name"
                raise UserError(f"{where}: {paths.PARAMS}: {name}: unknown key{meant}")
            node[key] = values[name]
        parameters.check(content, f"{where}: {paths.PARAMS}")


def apply(tree: Path, values: Mapping[str, Any], revision: str) -> None:
    """Change params.yaml in a worktree, all else of it kept, and check all of it. Raises UserError."""
    if values:
        params_file.change(tree / paths.PARAMS, values)
    checkout.params(tree, revision)
