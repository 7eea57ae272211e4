"""Command-line options that benchmarks share."""

import argparse
from typing import NoReturn

from gan.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser that reports a wrong option like any other user error: one line, exit status 1."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError instead of printing the usage and exiting with status 2."""
        raise UserError(message)


def count(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, at least 1")
    return int(text)


def seconds(text: str) -> float:
    """Parse a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a positive number of seconds")
    return value


def parser(description: str) -> Parser:
    """Return a parser with the options that say what is trained, where and how."""
    made = Parser(description=description, allow_abbrev=False)
    made.add_argument("--image-size", type=int, choices=(32, 64, 128), default=64)
    made.add_argument("--base-channels", type=count, default=64, help="channels next to the image")
    made.add_argument("--batch", type=count, default=64, help="images a step")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    made.add_argument("--threads", type=count, default=2, help="CPU threads of each contestant")
    made.add_argument("--cuda-graphs", choices=("auto", "true", "false"), default="auto")
    made.add_argument("--compile", choices=("auto", "true", "false"), default="auto")
    made.add_argument("--warmup", type=count, default=5, help="unmeasured steps before those measured")
    made.add_argument("--steps", type=count, default=20, help="measured steps")
    return made
