"""The page and the model card, rendered from one dictionary of figures."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).parent / "templates"

METRICS = (
    ("fd_semantic", "Fréchet distance, semantic", "lower is better: do they show the right things?"),
    ("fd_texture", "Fréchet distance, texture", "lower is better: do they look right close up?"),
    ("precision", "Precision", "higher is better: the share of samples that look real"),
    ("recall", "Recall", "higher is better: the share of real images that samples cover"),
    (
        "label_divergence",
        "Label divergence, bits",
        "lower is better: 0 when all classes are as common as they should be",
    ),
)


def render(template: str, figures: Mapping[str, Any]) -> str:
    """Fill in ``page.html.j2`` or ``model_card.md.j2``; a missing figure is an error, HTML is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(figures)


def metric_rows(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row for each metric there is: name, value, what real images score, how to read it."""
    return [
        {
            "name": name,
            "value": f"{metrics[key]:.3g}{spread(metrics, key)}",
            "floor": f"{metrics[floor]:.3g}" if (floor := f"{key}_floor") in metrics else "",
            "meaning": meaning,
        }
        for key, name, meaning in METRICS
        if key in metrics
    ]


def spread(metrics: Mapping[str, Any], key: str) -> str:
    """Return `` ± `` and the half of a 95 % interval, where the metric's standard deviation is known."""
    deviation = metrics.get(f"{key}_sd")
    return "" if deviation is None else f" ± {1.96 * deviation:.2g}"


def data_address(path: Path) -> str:
    """Return a PNG file as a data: address, so that the page needs no other file."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def size_words(count: int) -> str:
    """Return a number of bytes as people say it."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
