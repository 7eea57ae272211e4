"""The options of the commands in gan/. Nothing heavy is imported here: --help must answer at once.

A function a command: its docstring is what --help says first, and its first line is the command's line in
the list of commands. It may return a check of all arguments together.
"""

import argparse
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from gan.provenance.keys import CERTIFICATE, KEY, MARK

# Given what was parsed, it returns what is wrong with it, or None.
Check = Callable[[argparse.Namespace], str | None]
BATCH = 256  # images in memory


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


def port(text: str) -> int:
    """Read a port of this machine; 0 is any that is free."""
    return _within(int(text), 0, 65535)


def port_or_none(text: str) -> int:
    """Read a port of this machine, or -1 for none."""
    return _within(int(text), -1, 65535)


def seed(text: str) -> int:
    """Read a seed, 0 to 2**31 - 1."""
    return _within(int(text), 0)


def positive(text: str) -> float:
    """Read a finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: a number above 0 is needed")
    return value


def path(text: str) -> Path:
    """Read a path; ~ is the user's home."""
    return Path(text).expanduser()


def _within(value: int, least: int, most: int = 2**31 - 1) -> int:
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{value}: a whole number from {least} to {most} is needed")
    return value


def parse(
    options: Callable[[Parser], Check | None], program: str, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse a command's arguments, by default those of this process.

    ``options`` adds what the command knows to a parser. ``program`` is what was typed to call it.
    """
    description, form = inspect.getdoc(options), argparse.RawDescriptionHelpFormatter
    parser = Parser(prog=program, description=description, formatter_class=form)
    check = options(parser)
    arguments = parser.parse_args(argv)
    if check and (fault := check(arguments)):
        parser.error(fault)
    return arguments


def sample(parser: Parser) -> None:
    """Draw images from a model file, marked and signed.

    Needs the model file and nothing else: no params, no data, no network. The same model, seed and kind of
    machine give the same images, however many are drawn and whatever the batch; only signatures differ.
    """
    add = parser.add_argument
    add("--model", type=path, required=True, metavar="FILE", help="a generator: models/generator.safetensors")
    add("--count", type=above_zero, required=True, metavar="N", help="images")
    add("--seed", type=seed, default=0, metavar="S", help="of the latents (0)")
    add("--out", type=path, required=True, metavar="DIR", help="a new folder")
    add("--class", dest="label", metavar="NAME", help="images of this class alone: its name or number")
    add("--truncation", type=positive, metavar="T", help="keep latents within ±T: less variety, fewer flaws")
    add(
        "--batch",
        type=above_zero,
        default=BATCH,
        help=f"images held in memory; changes none of them ({BATCH})",
    )
    add("--frames", type=not_negative, default=48, help="of the animation (48); 0: none")
    add("--gif", action="store_true", help="the animation as GIF, not WebP")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (auto)")
    add("--threads", type=above_zero, help="cores of the processor to use; no image depends on it (all)")
    add("--mark", action=argparse.BooleanOptionalAction, default=True, help="a keyed mark in the pixels (on)")
    add("--mark-key", type=path, metavar="FILE", help=f"its secret, instead of {MARK} or our own")
    add("--unsigned", action="store_true", help="without signed content credentials")
    add("--key", type=path, metavar="FILE", help=f"PEM key that signs, instead of {KEY} or our own")
    add("--certificate", type=path, metavar="FILE", help=f"its chain, instead of {CERTIFICATE}")


def export(parser: Parser) -> None:
    """Write a generator as ONNX, for programs without PyTorch.

    The file is written only if ONNX Runtime computes what PyTorch does.
    """
    parser.add_argument("--model", type=path, required=True, metavar="FILE", help="a generator")
    parser.add_argument("--out", type=path, required=True, metavar="FILE", help="the ONNX file to write")


def provenance(parser: Parser) -> None:
    """Say who made a picture, or show our own keys.

    Exit status of verify, of several files the highest: 0 proven, 1 a file cannot be read, 3 not proven (it
    only says so, only its pixels do, or nobody knows), 4 contradicted (altered, or signed by a stranger).
    """
    commands = parser.add_subparsers(required=True, dest="do", metavar="COMMAND")
    verify_parser = commands.add_parser("verify", help="say who made pictures, or what a model file carries")
    verify_parser.add_argument("file", nargs="+", type=path, help="PNG, JPEG, WebP, GIF or .safetensors")
    verify_parser.add_argument(
        "--trust", action="append", type=path, default=[], metavar="FILE", help="certificates of others, PEM"
    )
    verify_parser.add_argument(
        "--mark-key", type=path, metavar="FILE", help="the secret of the mark to look for"
    )
    verify_parser.add_argument("--json", action="store_true", help="the verdicts as JSON")
    keys_parser = commands.add_parser("keys", help="say where our keys are, and what their certificate says")
    keys_parser.add_argument(
        "--root", action="store_true", help="print the certificate that others have to trust"
    )
