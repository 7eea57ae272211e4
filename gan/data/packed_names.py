"""Which files hold many images at once, by their names."""

import posixpath
import re

_IDX = re.compile(r"idx[13][-.]ubyte(\.gz)?$", re.IGNORECASE)
_CIFAR = re.compile(
    r"(^|/)(data_batch_\d+|test_batch|batches\.meta)$|(^|/)cifar-100-python/(train|test|meta)$"
)


def is_packed(path: str) -> bool:
    """Say whether a file may hold many images: a table of pixels too, whose first line tells."""
    return packed_kind(path) is not None or path.lower().endswith(".csv")


def packed_kind(path: str) -> str | None:
    """Return the kind of a file that holds many images or their labels, or None."""
    suffix = posixpath.splitext(path)[1].lower()
    if suffix in (".parquet", ".npz", ".npy"):
        return suffix[1:]
    if _IDX.search(path):
        return "idx"
    return "cifar" if _CIFAR.search(path) else None
