"""What the commands of this folder share: how they end, and how they say what was typed wrong."""

import argparse
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
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is."""
        self.exit(2, f"error: {' '.join(message.split())}; `{self.prog} --help` explains\n")
