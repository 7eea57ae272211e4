"""Packages that only provenance and export need: a machine that just trains may lack them."""

from collections.abc import Iterator
from contextlib import contextmanager

from gan.errors import UserError


@contextmanager
def needs(package: str, instead: str = "") -> Iterator[None]:
    """Turn a failed import in the block into one line that names the package, and what to do ``instead``."""
    try:
        yield
    except ImportError as error:
        advice = f"`pip install {package}`" + (f", or {instead}" if instead else "")
        raise UserError(f"{package}: not installed here ({error}); {advice}") from None
