"""One way to fill a template, for every page and the model card.

A module of its own: whatever imports it depends on jinja2, and most stages make no page.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2


def fill(template: Path, figures: Mapping[str, Any]) -> str:
    """Return a template filled in; a missing figure is an error, and in HTML all text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=jinja2.select_autoescape(["html.j2"]),  # names are anyone's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(figures)
