"""What the commands of this folder that are no stage share: a user's typing mistake gets one line too."""

import argparse
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses in one line, with exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the help is."""
        self.exit(2, f"error: {' '.join(message.split())}; `{self.prog} --help` explains\n")


def above_zero(text: str) -> int:
    """Read an integer, at least 1."""
    return _within(int(text), 1)


def not_negative(text: str) -> int:
    """Read an integer, at least 0."""
    return _within(int(text), 0)


def seed(text: str) -> int:
    """Read a seed, 0 to 2**31 - 1."""
    return _within(int(text), 0)


def positive(text: str) -> float:
    """Read a finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def path(text: str) -> Path:
    """Read a path; ~ is the user's home."""
    return Path(text).expanduser()


def _within(value: int, least: int, most: int = 2**31 - 1) -> int:
    if not least <= value <= most:
        raise ValueError
    return value
