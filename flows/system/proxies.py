"""Loopback is never asked through a proxy, whatever the variables of the environment hold.

Prefect's client and its event socket read the same variables as everybody, each in its own way, and one
entry that it cannot read ends it. So they are put in order here, in this process and what it starts for
Prefect; commands (DVC, git) get them as the user set them.
"""

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from gan.errors import UserError

DIRECT = ("localhost", "127.0.0.1", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
KEPT = "GANFLOW_KEPT_"  # before a variable's name: what the user had set


def settle(url: str) -> None:
    """Make the environment such that Prefect's client reaches ``url``, directly if it is on loopback.

    Raises UserError where the server is elsewhere and its client cannot read a proxy's variable.
    """
    import httpx  # Prefect's; not for commands that ask no server

    _set("no_proxy", ",".join(_direct()))
    try:
        with httpx.Client():
            return
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        names = [name for name in (*PROXIES, *map(str.upper, PROXIES)) if os.environ.get(name)]
        host = urlsplit(url).hostname or ""
        if host not in DIRECT and not host.startswith("127."):
            raise UserError(
                f"{', '.join(names)}: Prefect's client cannot use it ({str(error).splitlines()[0]}); "
                "unset it for this command"
            ) from None
    for name in PROXIES:
        _set(name, None)


def as_set(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables with those of proxies as the user had set them."""
    restored = {key: value for key, value in variables.items() if not key.startswith(KEPT)}
    for key, value in variables.items():
        if key.startswith(KEPT):
            name = key.removeprefix(KEPT)
            restored.pop(name, None)
            restored |= {name: value} if value else {}
    return restored


def _direct() -> list[str]:
    """Return the hosts that no proxy is asked for, as far as the client can read them, and loopback."""
    given = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    entries = [entry.strip() for entry in given]
    plain = [entry[1:-1] if entry[:1] == "[" and entry[-1:] == "]" else entry for entry in entries]
    return list(dict.fromkeys([entry for entry in plain if entry and _readable(entry)] + [*DIRECT]))


def _readable(entry: str) -> bool:
    """Say whether httpx can make a pattern of an entry (see its get_environment_proxies)."""
    import httpx

    try:
        address = ipaddress.ip_address(entry.partition("/")[0])
        return address.version == 4 or "/" not in entry
    except ValueError:
        pass
    try:
        httpx.URL(entry if "://" in entry else f"all://*{entry}")
    except httpx.InvalidURL:
        return False
    return True


def _set(name: str, value: str | None) -> None:
    """Set a variable in both spellings, or remove it; keep what it was for `as_set`."""
    for spelling in (name, name.upper()):
        if os.environ.get(spelling) == value:
            continue
        os.environ.setdefault(KEPT + spelling, os.environ.get(spelling, ""))
        if value is None:
            os.environ.pop(spelling, None)
        else:
            os.environ[spelling] = value
