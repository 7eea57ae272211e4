"""How commands end: one line for a user's error, and the exit status."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gan.errors import UserError
from gan.runtime import interrupted
from gan.runtime.locales import accept_any_text

says_errors = False  # in this process a command prints the reason of its failure last


@contextmanager
def ending() -> Iterator[None]:
    """Turn a user's error in the block into one line and exit status 1; clean-up code runs in any case.

    Prefect passes SIGTERM on to the handler set here. SIGINT and SIGTERM have their usual statuses.
    """
    global says_errors
    accept_any_text()
    says_errors = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `| head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        if error.filename is None:  # not about a file of ours: a fault of the program
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        interrupted.leave()
