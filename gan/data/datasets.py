"""The data sets known by name, and what kind of source a set of files is."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from gan.data.file_names import ARCHIVE_SUFFIXES
from gan.data.packed_names import is_packed

Kind = Literal["digits", "idx", "cifar", "svhn", "celeba", "archive", "folder"]

IDX_FILES = tuple(
    f"{half}-{what}-ubyte.gz" for half in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
)
DIGITS_FILE = "digits.csv.gz"
CIFAR_FILE = "cifar-10-python.tar.gz"
SVHN_FILES = ("train_32x32.mat", "test_32x32.mat")
CELEBA_FILES = ("img_align_celeba.zip", "list_eval_partition.txt")
_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Source:
    """A data set known by name; ``classes`` are in the order of the label numbers in its files."""

    files: tuple[str, ...]
    licence: str | None
    classes: tuple[str, ...] | None = _DIGITS


_FASHION = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_KMNIST = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
SOURCES = {
    "digits": Source((DIGITS_FILE,), "CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)"),
    "mnist": Source(IDX_FILES, "CC BY-SA 3.0"),
    "fashion_mnist": Source(IDX_FILES, "MIT", _FASHION),
    "kmnist": Source(IDX_FILES, "CC BY-SA 4.0", _KMNIST),
    "cifar10": Source((CIFAR_FILE,), None, None),  # names its classes itself; states no licence
    "svhn": Source(SVHN_FILES, "non-commercial use only"),
    "celeba": Source(CELEBA_FILES, "non-commercial research only", None),
}
_PACKED: dict[Kind, tuple[str, ...]] = {
    "digits": (DIGITS_FILE,),
    "idx": IDX_FILES,
    "cifar": (CIFAR_FILE,),
    "svhn": SVHN_FILES,
    "celeba": CELEBA_FILES,
}


def kind_of(paths: Collection[str], one_file: bool = False) -> Kind:
    """Tell what a source is from its files' relative paths, and whether it was given as one file.

    A folder that holds a known set's files under their published names is read as that set, so
    that files fetched by other means work too; a folder of one archive is read as the archive.
    """
    for kind, files in _PACKED.items():
        if set(files) <= set(paths):
            return kind
    if len(paths) == 1 and is_packed(next(iter(paths))):
        return "folder"
    if len(paths) == 1 and next(iter(paths)).lower().endswith(ARCHIVE_SUFFIXES):
        return "archive"
    return "archive" if one_file else "folder"
