"""An expectation of the suite: its key, title, frame, limit and check."""

from dataclasses import dataclass
from typing import Any, Literal

import great_expectations.expectations

# manifest: a row an image of the source; accepted: those that were prepared; summary: one row of figures
FrameName = Literal["manifest", "accepted", "summary"]

gxe: Any = great_expectations.expectations  # its types take no plain text as a severity


@dataclass(frozen=True)
class Rule:
    """An expectation, the frame it looks at, and how it is shown.

    ``key`` names its figure in result.json and never changes, so that `dvc metrics diff` can compare it.
    """

    key: str
    name: str
    frame: FrameName
    limit: str
    expectation: Any


def at_least(key: str, name: str, value: float, severity: str, column: str | None = None) -> Rule:
    """Return the rule that a figure of the summary, ``column`` or ``key``, is ``value`` or more."""
    check = gxe.ExpectColumnValuesToBeBetween(column=column or key, min_value=value, severity=severity)
    return Rule(key, name, "summary", f"at least {value:g}", check)


def at_most(key: str, name: str, value: float, severity: str, column: str | None = None) -> Rule:
    """Return the rule that a figure of the summary, ``column`` or ``key``, is ``value`` or less."""
    check = gxe.ExpectColumnValuesToBeBetween(column=column or key, max_value=value, severity=severity)
    return Rule(key, name, "summary", f"at most {value:g}" if value else "none", check)
