"""SIGINT and SIGTERM as a stop request, which the loop honours between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Wish:
    """``stop`` is true once one of the signals has come."""

    stop = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        """Set ``stop``; a second signal changes nothing, because the state is being written."""
        self.stop = True


@contextmanager
def on_signals() -> Iterator[Wish]:
    """Turn the signals into a stop request for the block."""
    wish = Wish()
    before = [signal.signal(number, wish) for number in SIGNALS]
    try:
        yield wish
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
    if wish.stop:  # it came after the loop's last look
        raise KeyboardInterrupt
