"""The model card's front matter for the Hugging Face Hub, a model file's record, escaping in Markdown."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open

from gan.errors import UserError

LONGEST = 200  # characters; longer names are shortened
TASK = "unconditional-image-generation"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")


def config(model: Path) -> dict[str, Any]:
    """Return what a model file says of its network. Raises UserError if it is not one of ours."""
    try:
        with safe_open(model, framework="numpy") as file:
            return dict(json.loads(file.metadata()["config"]))
    except FileNotFoundError:
        raise UserError(f"{model}: no such file; run the stage that writes it, `dvc repro`") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{model}: not a model file of this project ({error})") from None


def cut(value: object, longest: int = LONGEST) -> str:
    """Return a name as one line of printable characters; a very long one without its middle."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    if len(line) <= longest:
        return line
    return f"{line[: longest * 2 // 3]}…{line[-(longest - longest * 2 // 3 - 1) :]}"


def text(value: object) -> str:
    """Return a value as Markdown text with all markup escaped."""
    return _SPECIAL.sub(r"\\\1", cut(value))


def code(value: object) -> str:
    """Return a value as a Markdown code span that also works in a table."""
    line = cut(value).replace("|", "\\|")
    longest = max(map(len, re.findall(r"`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def front_matter(
    title: str,
    data_set: str,
    hub_id: str | None,
    tags: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
) -> str:
    """Return the card's YAML: how the Hub classifies the model, and its results (model-index).

    It has no licence, because the owner of the weights chooses it. ``hub_id``: what the Hub calls the
    data set; None where it has none.
    """
    data_set = cut(data_set)
    results = [{"type": row["key"], "name": row["name"], "value": metrics[row["key"]]} for row in rows]
    content = {
        "library_name": "pytorch",
        "pipeline_tag": TASK,
        "tags": [cut(tag) for tag in tags],
        **({"datasets": [hub_id]} if hub_id else {}),
        "model-index": [
            {
                "name": title,
                "results": [
                    {
                        "task": {"type": TASK, "name": "Image generation"},
                        "dataset": {"type": hub_id or "custom", "name": data_set, "split": "test"},
                        "metrics": results,
                    }
                ],
            }
        ],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
