"""Rendering the report page and the model card from one dictionary of figures."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan.report.model_card import code, text
from gan.templating import fill

TEMPLATES = Path(__file__).parent / "templates"
STYLE, SCRIPT = "page.css", "page.js"


def page(figures: Mapping[str, Any]) -> str:
    """Return the page as HTML, with its style and script. Its policy allows only that script, by hash."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assets = {"style": style, "script": script, "script_hash": f"sha256-{allowed}"}
    return fill(TEMPLATES / "page.html.j2", {**figures, **assets})


def model_card(figures: Mapping[str, Any]) -> str:
    """Return the model card; ``md`` and ``code`` escape names in Markdown."""
    return fill(TEMPLATES / "model_card.md.j2", {**figures, "md": text, "code": code})
