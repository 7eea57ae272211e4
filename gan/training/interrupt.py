"""SIGINT and SIGTERM as a wish, which the loop grants between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Wish:
    """``stop`` is true once one of the signals has come."""

    stop = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        """Take note; a second signal changes nothing, since the state is being written."""
        self.stop = True


@contextmanager
def on_signals() -> Iterator[Wish]:
    """Turn the signals into a wish for the block."""
    wish = Wish()
    before = [signal.signal(number, wish) for number in SIGNALS]
    try:
        yield wish
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
    if wish.stop:  # it came after the loop's last look
        raise KeyboardInterrupt
