"""The model card's front matter, as the Hugging Face Hub reads it, and Markdown that names cannot break."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

LONGEST = 200  # characters of a name that are shown
TASK = "unconditional-image-generation"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def cut(value: object, longest: int = LONGEST) -> str:
    """Return a name as one line of printable characters, the middle of a very long one left out."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    if len(line) <= longest:
        return line
    return f"{line[: longest * 2 // 3]}…{line[-(longest - longest * 2 // 3 - 1) :]}"


def text(value: object) -> str:
    """Return a value as Markdown text in which nothing is markup."""
    return _SPECIAL.sub(r"\\\1", cut(value))


def code(value: object) -> str:
    """Return a value as a Markdown code span, also within a table."""
    line = cut(value).replace("|", "\\|")
    longest = max(map(len, re.findall(r"`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def front_matter(
    title: str,
    data_set: str,
    tags: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
) -> str:
    """Return the card's YAML: what the Hub files the model under, and its results (model-index).

    There is no licence in it: the weights' is their owner's to choose.
    """
    data_set = cut(data_set)
    results = [{"type": row["key"], "name": row["name"], "value": metrics[row["key"]]} for row in rows]
    content = {
        "library_name": "pytorch",
        "pipeline_tag": TASK,
        "tags": [cut(tag) for tag in tags],
        "datasets": [data_set],
        "model-index": [
            {
                "name": title,
                "results": [
                    {
                        "task": {"type": TASK, "name": "Image generation"},
                        "dataset": {"type": data_set, "name": data_set, "split": "test"},
                        "metrics": results,
                    }
                ],
            }
        ],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
