"""One file by HTTP, continued where an earlier attempt was cut (RFC 9110: range requests, If-Range)."""

import re
from typing import TYPE_CHECKING

from gan.data.meter import Meter
from gan.data.network import SOCKET_SECONDS
from gan.data.partial import Partial

if TYPE_CHECKING:
    from requests import Response

_PIECE = 1 << 16
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def receive(url: str, part: Partial, meter: Meter) -> None:
    """Add to ``part`` what it lacks of the file at ``url``, in one attempt.

    Where the server names the version (a strong ETag, or else the date of the last change) and
    knows ranges, what has come of the same version stays; otherwise it is fetched from its first
    byte. Proxies and keys are those of the environment: HTTPS_PROXY, ~/.netrc. Raises requests'
    and urllib3's errors, and ConnectionError for a file that is shorter than the server said.
    """
    import requests  # takes a while, and only downloads need it

    version = part.version(url)
    have = part.size() if version else 0
    headers = {"User-Agent": "ganflow", "Accept-Encoding": "identity"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(url, headers=headers, stream=True, timeout=SOCKET_SECONDS) as answer:
        if answer.status_code == 416:  # there is no byte behind those that came
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return  # since they are all
            part.discard()
            raise ConnectionError("what had come was longer than the file")
        answer.raise_for_status()
        start, total = _extent(answer, have)
        if not start:
            part.begin(url, _version(answer))
        with part.adding(start) as file:
            done = start
            while piece := answer.raw.read1(_PIECE, decode_content=False):
                file.write(piece)
                file.flush()  # a kill then loses nothing
                done += len(piece)
                meter.update(done, total)
    if total is not None and done != total:
        raise ConnectionError(f"{done} of {total} bytes came")


def _extent(answer: "Response", have: int) -> tuple[int, int | None]:
    """Return which byte the answer begins with, and how many the whole file has, where the server says so."""
    if answer.status_code == 206:
        found = _RANGE.match(answer.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise ConnectionError("the server sent another range than it was asked for")
        return have, None if found[2] == "*" else int(found[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _version(answer: "Response") -> str | None:
    """Return what If-Range may hold: a strong ETag, or a date."""
    tag = answer.headers.get("ETag")
    return tag if tag and tag.startswith('"') else answer.headers.get("Last-Modified")
