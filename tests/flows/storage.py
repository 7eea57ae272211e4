"""Real storage servers on loopback: sshd, an S3-protocol server, and a line to them that can be cut."""

import getpass
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.flows.harness import wait_for

SSHD = Path("/usr/sbin/sshd")
# For the S3-protocol server and its clients alike; it takes any.
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
KEYS |= {"AWS_MAX_ATTEMPTS": "1"}  # a line that was cut stays so


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether a server accepts connections at the port.

    Linux may give a connection the very port that it asks for, when nobody listens there: it then
    reaches itself, and is none.
    """
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as line:
        return line.getsockname() != line.getpeername()
    return False


def answers(url: str) -> bool:
    """Whether a web server answers a GET of the address with success."""
    with suppress(OSError, http.client.HTTPException), urllib.request.urlopen(url, timeout=5):
        return True
    return False


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, port: int, *, seconds: float = 60, **variables: str
) -> Iterator[None]:
    """Run a server in the folder of its log until the block ends; ``seconds``: to start, at most."""
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            stdout=file,
            stderr=file,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    try:
        wait_for(lambda: listens(port) or process.poll() is not None, seconds)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started and left


@contextmanager
def sshd(folder: Path) -> Iterator[tuple[int, Path]]:
    """A real sshd of our own; yields its port and the private key that it lets in."""
    folder.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"AllowUsers {getpass.getuser()}\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    with running([str(SSHD), "-D", "-e", "-f", str(folder / "config")], folder / "log", port):
        yield port, folder / "user"


@contextmanager
def s3(folder: Path) -> Iterator[int]:
    """A server that speaks S3; yields its port."""
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, folder / "log", port, **KEYS):
        yield port


class Line:
    """A line to a server that goes dead after so many bytes, until it is mended."""

    def __init__(self, port: int) -> None:
        self._target, self.left = port, float("inf")
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: float) -> None:
        self.left = count

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self.left <= 0:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                self.left -= len(data)
                if self.left <= 0:
                    self.cuts += 1
                    for end in self._open:
                        with suppress(OSError):
                            end.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
