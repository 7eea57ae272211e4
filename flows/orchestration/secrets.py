"""Params with a secret in them on their way through Prefect, which keeps what a flow is called with."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from gan.urls import redacted


def hidden(value: Any) -> Any:
    """Return a text with a user, password or query in an address so that Prefect stores asterisks for it."""
    return SecretStr(value) if isinstance(value, str) and redacted(value) != value else value


def hidden_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return params, by their names, with what may be secret hidden."""
    return {key: hidden(value) for key, value in values.items()}


def plain(value: Any) -> Any:
    """Return what `hidden` was given."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return params as they are."""
    return {key: plain(value) for key, value in values.items()}
