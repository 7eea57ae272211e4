"""YAML 1.2 as DVC reads it, by PyYAML: training machines may have nothing else.

A module of its own: the packages of a stage are those that it imports, and every stage imports gan/files.py.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from gan.errors import UserError


class _Yaml12(yaml.SafeLoader):
    """PyYAML with the scalars of YAML 1.2's core schema, which DVC writes and reads.

    PyYAML alone follows YAML 1.1: `2e-4` is text, `010` is 8, `on` is True, `12:30` is 750.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - none of YAML 1.1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str):
                raise ValueError(f"key {key!r} is not text; quote it")
            if keys.count(key) > 1:
                raise ValueError(f"key {key!r} stands twice in one section; keep one")
        return super().construct_mapping(node, deep)


def _integer(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = node.value
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def _number(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


# YAML 1.2.2, section 10.3.2 (the core schema's regular expressions)
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.nan|\.NaN|\.NAN",
        list("-+0123456789."),
    ),
):
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Yaml12.add_constructor("tag:yaml.org,2002:int", _integer)
_Yaml12.add_constructor("tag:yaml.org,2002:float", _number)


def parse_yaml(text: str) -> Any:
    """Parse YAML 1.2 text as DVC does. Raises yaml.YAMLError or ValueError."""
    return yaml.load(text, Loader=_Yaml12)  # noqa: S506 - a SafeLoader


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds sections. Raises UserError when it is absent or does not."""
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the root of the repository") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no sections; see recipes/ for complete files")
    return values
