"""One file over HTTP, resumed where an earlier attempt was cut (RFC 9110: range requests, If-Range)."""

import re
from typing import TYPE_CHECKING

from gan.download.byte_progress import Meter
from gan.download.partial_files import Partial
from gan.download.retry import SOCKET_SECONDS

if TYPE_CHECKING:
    from requests import Response

_PIECE = 1 << 16
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def receive(url: str, partial_file: Partial, meter: Meter) -> None:
    """Append to ``partial_file`` the bytes that it lacks of the file at ``url``, in one attempt.

    If the server supports ranges and names the version (a strong ETag, or the date of the last change),
    the bytes of the same version are kept. Otherwise the file is fetched from its first byte.
    Proxies and keys are those of the environment: HTTPS_PROXY, ~/.netrc. Raises requests' and urllib3's
    errors, and ConnectionError for a file that is shorter than the server said.
    """
    import requests  # takes a while, and only downloads need it

    version = partial_file.version(url)
    have = partial_file.size() if version else 0
    headers = {"User-Agent": "ganflow", "Accept-Encoding": "identity"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(url, headers=headers, stream=True, timeout=SOCKET_SECONDS) as answer:
        if answer.status_code == 416:  # there is no byte behind those that came
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # since they are all
            partial_file.discard()
            raise ConnectionError("what had come was longer than the file")
        answer.raise_for_status()
        start, total = _extent(answer, have)
        if not start:
            partial_file.begin(url, _version(answer))
        with partial_file.adding(start) as file:
            done = start
            while piece := answer.raw.read1(_PIECE, decode_content=False):
                file.write(piece)
                file.flush()  # a kill then loses nothing
                done += len(piece)
                meter.update(done, total)
    if total is not None and done != total:
        raise ConnectionError(f"{done} of {total} bytes came")


def _extent(answer: "Response", have: int) -> tuple[int, int | None]:
    """Return the first byte of the answer, and the size of the whole file if the server states it."""
    if answer.status_code == 206:
        match = _RANGE.match(answer.headers.get("Content-Range", ""))
        if not match or int(match[1]) != have:
            raise ConnectionError("the server sent another range than it was asked for")
        return have, None if match[2] == "*" else int(match[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _version(answer: "Response") -> str | None:
    """Return the value for If-Range: a strong ETag, or a date."""
    tag = answer.headers.get("ETag")
    return tag if tag and tag.startswith('"') else answer.headers.get("Last-Modified")
