"""Your own expectations: the one place for them. docs/validation.md shows how."""

from gan.params import Validate
from gan.validate.rules import Rule


def own(params: Validate, labelled: bool) -> list[Rule]:
    """Return rules that are held to as all others, and shown last; ``labelled``: there are classes."""
    return []
