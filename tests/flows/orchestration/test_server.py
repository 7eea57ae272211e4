"""What answers at the address of a Prefect server, and is none."""

import threading
from collections import deque
from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.orchestration import server
from gan.errors import UserError
from tests.data.web_site import SSH, saying

HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue"


@pytest.fixture
def greeting() -> Iterator[str]:
    """An address that answers the first caller as an SSH server does, the second as Prefect's."""
    with saying(SSH, HEALTHY) as address:
        yield f"{address}/api"


def test_a_configured_address_of_another_program_is_one_line(greeting: str) -> None:
    with temporary_settings({PREFECT_API_URL: greeting}):
        with pytest.raises(
            UserError, match=r"/api: no server answers there \(what listens there speaks no HTTP\)"
        ):
            server.configured()
        assert server.configured() == greeting


def test_an_attempt_that_reaches_no_server_is_made_again(greeting: str) -> None:
    """As one that Linux connects to itself, before the temporary server listens."""
    server._wait(greeting, threading.current_thread(), deque())
