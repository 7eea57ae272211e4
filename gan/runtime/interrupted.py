"""How a process ends that SIGINT or SIGTERM interrupted."""

import signal
import sys
from typing import NoReturn

STATUS = 128 + signal.SIGINT


def leave(line: str | None = None) -> NoReturn:
    """Print ``line`` on stderr and exit with status 130.

    CPython remembers a KeyboardInterrupt that leaves code compiled from text, such as a dataclass in
    a module that is being imported, even if it is caught later; `python -m` then ends by SIGINT,
    whatever status was asked for. The next text that runs makes it forget.
    """
    exec("")  # noqa: S102
    if line is not None:
        print(line, file=sys.stderr)
    sys.exit(STATUS)
