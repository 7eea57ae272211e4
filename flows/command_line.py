"""What the commands of this folder share: how they end, and how they say what was typed wrong."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from gan.errors import UserError


@contextmanager
def ending() -> Iterator[None]:
    """Turn a user's error in the block into one line and exit status 1; leave by every clean-up.

    Prefect passes SIGTERM on to the handler set here. SIGINT and SIGTERM have their usual statuses.
    """
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
        sys.exit(128 + signal.SIGINT)


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is."""
        self.exit(2, f"error: {' '.join(message.split())}; `{self.prog} --help` explains\n")
