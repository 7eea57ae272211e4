"""The page of a run and its model card, rendered from one dictionary of figures."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from gan.report.card import code, text
from gan.report.render import TEMPLATES, render

STYLE, SCRIPT = "page.css", "page.js"


def page(figures: Mapping[str, Any]) -> str:
    """Return the page, its style and script in it. It names the hash of that script: no other one runs."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = {"style": style, "script": script, "script_hash": f"sha256-{allowed}"}
    return render("page.html.j2", {**figures, **own})


def model_card(figures: Mapping[str, Any]) -> str:
    """Return the model card; ``md`` and ``code`` keep names from being Markdown."""
    return render("model_card.md.j2", {**figures, "md": text, "code": code})
