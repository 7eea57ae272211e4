"""Pages that flows write, and those of earlier runs that are kept."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
