"""What users are told where something is wrong, each in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

from gan.urls import redacted


class UserError(Exception):
    """Something the user can mend; its text is one line: what, where, which value, what to do.

    Stages print it after ``error:`` and exit with status 1; nothing else about it is shown. It ends up in
    logs and databases, so what may be secret in an address is taken out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(redacted(message).split()))


class Unreachable(UserError):
    """A server did not answer, or not to the end: the same again may go well later."""


def refused_values(error: "ValidationError") -> list[str]:
    """Give a validation error as `section.key: value: rule`, one text a key."""
    messages: dict[str, str] = {}
    for item in error.errors(include_url=False):
        # Behind the key stands the branch of a union that was tried (`auto`, `int`): drop it.
        key = ".".join(str(step) for step in (*item["loc"][:2], *item["loc"][3:]))
        rule = alternative = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            rule = "unknown key; remove it or correct its name"
        elif item["type"] == "missing":
            rule = "missing; add it (recipes/ holds complete files)"
        elif item["type"] != "value_error":
            alternative = f"{rule[0].lower()}{rule[1:]}"
            rule = f"{item['input']!r}: {alternative}"
        if not key:
            messages[rule] = rule
        elif key in messages and item["type"] != "extra_forbidden":
            messages[key] += f", or {alternative}"
        else:
            messages[key] = f"{key}: {rule}"
    return list(messages.values())


@contextmanager
def needs(package: str, instead: str = "") -> Iterator[None]:
    """Turn a failed import of an optional package in the block into one line.

    Raises UserError that names the package, how to install it, and what to do ``instead``.
    """
    try:
        yield
    except ImportError as error:
        advice = f"`pip install {package}`" + (f", or {instead}" if instead else "")
        raise UserError(f"{package}: not installed here ({error}); {advice}") from None
