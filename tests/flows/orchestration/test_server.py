"""What answers at the address of a Prefect server, and is none."""

import socket
import threading
from collections import deque
from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.orchestration import server
from gan.errors import UserError

HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue"


@pytest.fixture
def greeting() -> Iterator[str]:
    """An address that answers the first caller as an SSH server does, the second as Prefect's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


def _greet(listener: socket.socket) -> None:
    for greeting in (b"SSH-2.0-OpenSSH_9.2\r\n", HEALTHY):
        line, _ = listener.accept()
        with line:
            line.recv(1 << 16)
            line.sendall(greeting)


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
