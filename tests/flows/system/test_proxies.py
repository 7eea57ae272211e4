"""Variables of proxies: loopback is direct, and what a client cannot read does no harm."""

import os
import urllib.request
from pathlib import Path

import httpx
import pytest

from flows.system import proxies
from flows.system.variables import environment
from gan.errors import UserError

HERE = "http://127.0.0.1:4200/api"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*proxies.PROXIES, "no_proxy"):
        for spelling in (name, name.upper()):
            for variable in (spelling, proxies.KEPT + spelling):
                monkeypatch.setenv(variable, "")  # so that what is set meanwhile goes again
                monkeypatch.delenv(variable)
    return monkeypatch


@pytest.mark.parametrize(
    "given",
    [
        {"HTTP_PROXY": "http://127.0.0.1:9"},
        {"http_proxy": "http://127.0.0.1:9", "no_proxy": "example.org"},
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"ALL_PROXY": "not an address", "HTTPS_PROXY": "http://["},
        {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1,[::1]"},
        {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "fe80::/10, a b, [, *.corp"},
    ],
)
def test_loopback_is_direct(variables: pytest.MonkeyPatch, given: dict[str, str], tmp_path: Path) -> None:
    for name, value in given.items():
        variables.setenv(name, value)
    before = dict(os.environ)
    for _ in range(2):  # a process that is started by one that did it already
        proxies.settle(HERE)
    with httpx.Client() as client:
        for url in (HERE, "http://localhost:1", "http://[::1]:1"):
            assert client._transport_for_url(httpx.URL(url)) is client._transport
    assert urllib.request.proxy_bypass("127.0.0.1") or not urllib.request.getproxies().get("http")
    # Commands, which have readings of their own, get them as they were.
    names = [name for name in environment(tmp_path) if name.lower().endswith("_proxy")]
    assert {name: environment(tmp_path)[name] for name in names} == {
        name: value for name, value in before.items() if name.lower().endswith("_proxy")
    }


def test_a_server_elsewhere_needs_a_proxy_that_can_be_read(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("ALL_PROXY", "ftp://proxy.example:9")
    with pytest.raises(UserError, match=r"^ALL_PROXY: Prefect's client cannot use it .*; unset it"):
        proxies.settle("http://prefect.example/api")
