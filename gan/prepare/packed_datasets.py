"""Readers of published sets that come packed in arrays. Nothing in them is executed.

Each yields Items whose content is an array, uint8 (H, W) or (H, W, 3), with half and label's name.
"""

import gzip
import io
import pickle  # only its parser; what it may name is restricted below
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan.data.archive_members import READ_ERRORS, Limits, Unreadable
from gan.data.archives import members
from gan.data.datasets import CIFAR_FILE, DIGITS_FILE, IDX_FILES, SOURCES, SVHN_FILES
from gan.errors import UserError
from gan.prepare.decoding.decode import Item

_LIMITS = Limits(
    1000, 200_000_000, 2_000_000_000, 1000
)  # of CIFAR-10's archive; its files have 31 million bytes
_ARRAY_NAMES = {  # what the pickle of a numpy array refers to, by old and new numpy
    (module, name)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy", "_codecs")
    for name in ("_reconstruct", "ndarray", "dtype", "encode")
}


def digits_items(folder: Path) -> Iterator[Item]:
    """Yield scikit-learn's digits: 8×8, 0 to 16 scaled to 0 to 255, no halves."""
    with _damage(folder / DIGITS_FILE), gzip.open(folder / DIGITS_FILE) as file:
        table = np.loadtxt(file, delimiter=",", ndmin=2)
        images = (table[:, :64].reshape(-1, 8, 8) * (255 / 16)).round().clip(0, 255).astype(np.uint8)
        labels = [str(int(value)) for value in table[:, 64]]
    yield from _items(DIGITS_FILE, images, labels, None)


def idx_items(folder: Path, source: str) -> Iterator[Item]:
    """Yield MNIST and the sets in its format; ``source`` gives the class names where it is known."""
    known = SOURCES.get(source)
    classes = known.classes if known and known.classes else tuple("0123456789")
    for half, images, labels in (("train", *IDX_FILES[:2]), ("test", *IDX_FILES[2:])):
        with _damage(folder / images):
            pixels = _read_idx(folder / images, 3)
        with _damage(folder / labels):
            numbers = _read_idx(folder / labels, 1)
        if len(numbers) and numbers.max() >= len(classes):
            raise UserError(
                f"{labels}: labels up to {numbers.max()} under MNIST's names, which has {len(classes)} "
                "classes; if they are EMNIST's, give the files its names: "
                "emnist-balanced-train-images-idx3-ubyte.gz ...; if they are MNIST's, download it again"
            )
        names = [classes[label] for label in numbers]
        yield from _items(images, pixels, names, half)


def cifar_items(folder: Path) -> Iterator[Item]:
    """Yield CIFAR-10's archive of pickled batches, in the archive's order."""
    path = folder / CIFAR_FILE
    names: list[str] = []
    for wanted in ("batches.meta", "_batch"):  # the class names stand somewhere in the middle
        for member in members(path):
            name = member.path.rpartition("/")[2]
            if not (name == wanted or (wanted == "_batch" and name.startswith(("data_batch", "test_batch")))):
                continue
            with _damage(path):
                batch = unpickled(member.content(_LIMITS), f"{path.name}: {name}")
                if wanted == "batches.meta":
                    names = [str(label) for label in batch["label_names"]]
                    continue
                images = np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
                labels = [names[label] for label in batch["labels"]]
            yield from _items(name, images, labels, "test" if name == "test_batch" else "train")


def svhn_items(folder: Path) -> Iterator[Item]:
    """Yield SVHN's cropped digits; its label 10 is the digit 0."""
    from scipy.io import loadmat

    for half, name in zip(("train", "test"), SVHN_FILES, strict=True):
        with _damage(folder / name):
            content = loadmat(folder / name, variable_names=["X", "y"])
            images = np.asarray(content["X"], np.uint8).transpose(3, 0, 1, 2)
            labels = [str(int(value) % 10) for value in content["y"].ravel()]
        yield from _items(name, images, labels, half)


def _items(name: str, images: NDArray[np.uint8], labels: list[str], half: str | None) -> Iterator[Item]:
    if len(images) != len(labels):
        raise UserError(f"{name}: {len(images)} images but {len(labels)} labels; download it again")
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield Item(f"{name}#{number:05d}", np.ascontiguousarray(image), None, half, label)


def _read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes."""
    with gzip.open(path) as file:
        header = np.frombuffer(file.read(4 + 4 * dimensions), ">u4")
        if header[0] != 0x0800 + dimensions:
            raise ValueError("not an IDX file")
        shape = [int(length) for length in header[1:]]
        content = file.read()
    return np.frombuffer(content, np.uint8).reshape(shape)


class _ArrayUnpickler(pickle.Unpickler):
    """A reader of pickles that can make numpy arrays and plain containers, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAY_NAMES:
            raise UserError(f"a pickle in it asks for {module}.{name}, which no array needs; do not use it")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def unpickled(content: bytes, name: str) -> dict[str, Any]:
    """Load a pickle of arrays and plain containers. Raises UserError when it asks for anything else."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    return {str(key): value for key, value in batch.items()}


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what a damaged or foreign file raises into the user's one line."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (
        *READ_ERRORS,
        Unreadable,
        pickle.UnpicklingError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:
        raise UserError(f"{path}: damaged, or not what its name says; download it again") from error
