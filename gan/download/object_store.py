"""Files and folders at addresses that fsspec reads: s3, ssh, sftp, gs, and listings of web folders."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from gan.download.byte_progress import Meter
from gan.download.partial_files import Partial
from gan.download.retry import SOCKET_SECONDS

Found = dict[str, dict[str, Any]]  # address within the store: what its listing says (size, type)


class Store:
    """The file system behind an address, opened at its first use and again after a failure.

    Keys are the environment's: AWS's variables and files, the SSH agent and ~/.ssh, ~/.netrc. Raises whatever
    the file system's library does.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.web = urlsplit(address).scheme.lower() in ("http", "https")
        self._opened: tuple[Any, str] | None = None

    def is_file(self) -> bool:
        """Say whether the address is a file; raises FileNotFoundError if there is nothing."""
        system, root = self._open()
        return bool(self._or_close(lambda: system.info(root)["type"] == "file"))

    def find(self) -> Found:
        """List all files below the address."""
        system, root = self._open()
        listing: Found = self._or_close(lambda: system.find(root, detail=True))
        return listing

    def name(self, path: str) -> str:
        """Return a path from ``find`` relative to the address, or "" if it is not below it."""
        _, root = self._open()
        base = root.rstrip("/") + "/"
        name = path[len(base) :] if path.startswith(base) else ""
        return (unquote(name) if self.web else name).lstrip("/")  # "a//b" must not become "/b"

    def receive(
        self,
        partial_file: Partial,
        meter: Meter | None = None,
        path: str | None = None,
        size: int | None = None,
    ) -> None:
        """Fill ``partial_file`` with a file, from its first byte, in one attempt; check its length.

        The file is the address itself, or a ``path`` with its size from ``find``.
        """
        from fsspec.callbacks import Callback

        system, root = self._open()

        def tell(size: int | None, value: int, **_: object) -> None:  # fsspec's names
            if meter:
                meter.update(value, size)

        def get() -> None:
            expected = size if path else system.info(root).get("size")
            partial_file.begin(self.address, None)
            system.get_file(path or root, str(partial_file.path), callback=Callback(hooks={"tell": tell}))
            if expected is not None and partial_file.size() != expected:
                raise ConnectionError(f"{partial_file.size()} of {expected} bytes came")

        self._or_close(get)

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            from fsspec.core import url_to_fs

            self._opened = url_to_fs(self.address, skip_instance_cache=True, **self._options())
        return self._opened

    def _options(self) -> dict[str, Any]:
        if self.web:
            from aiohttp import ClientTimeout  # its own default ends any download after five minutes

            timeout = ClientTimeout(total=None, sock_connect=SOCKET_SECONDS, sock_read=SOCKET_SECONDS)
            return {"client_kwargs": {"timeout": timeout, "trust_env": True}}  # proxies, ~/.netrc
        if urlsplit(self.address).scheme.lower() in ("ssh", "sftp"):
            # sshfs' own default is to believe any host; () stands for ~/.ssh/known_hosts.
            return {"known_hosts": (), "connect_timeout": SOCKET_SECONDS, "login_timeout": SOCKET_SECONDS}
        if urlsplit(self.address).scheme.lower() in ("s3", "s3a"):
            return {"max_concurrency": 1}  # or pieces of 50 MB are held in memory, and nothing seems to come
        return {}

    def _or_close(self, work: Callable[[], Any]) -> Any:
        """Run the operation; after a failure the next one opens the file system again."""
        try:
            return work()
        except BaseException:
            self._opened = None
            raise
