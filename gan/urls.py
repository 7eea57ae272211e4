"""What is an address, and what of one may be shown: the only code that takes secrets out of text."""

import re
from typing import Any

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^\s'\"]+)")
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")  # host and port, RFC 3986, 3.2
_QUERY = re.compile(r"[?#][^\s'\")]*=[^\s'\")]*")


def is_address(text: str) -> bool:
    """Say whether a source is given as an address (``https://…``), not as a path."""
    return _ADDRESS.match(text) is not None


def redacted(value: object) -> str:
    """Return a value as text without what may be secret in its addresses: user, password, query, fragment.

    A password should have its ``/``, ``?`` and ``#`` escaped. Where it has not, nothing is shown from which
    the host cannot be told.
    """
    return _ADDRESS.sub(lambda match: match[1] + _public(match[2]), str(value))


def redacted_values(value: Any) -> Any:
    """Return plain data with all text in it redacted."""
    if isinstance(value, dict):
        return {key: redacted_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_values(item) for item in value]
    return redacted(value) if isinstance(value, str) else value


def redacted_error(text: str) -> str:
    """Return an error's text likewise; clients also quote addresses without their host."""
    return _QUERY.sub("", redacted(text))


def _public(rest: str) -> str:
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        rest = rest[authority.rindex("@") + 1 :]
    elif not _AUTHORITY.fullmatch(authority):  # the user's name and the beginning of a password
        _, at, behind = rest.partition("@")
        rest = behind if at and "@" not in behind else "…"
    return re.split("[?#]", rest, maxsplit=1)[0]
