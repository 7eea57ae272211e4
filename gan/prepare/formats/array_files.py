"""Arrays of numpy (npz, npy) and idx files: which hold images, which labels, and of which half, by name."""

import gzip
import io
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan.data.archive_members import READ_ERRORS
from gan.data.folder_names import named_half
from gan.errors import UserError
from gan.prepare.decoding.decode import Item

Array = NDArray[Any]

_IMAGES = ("x", "images", "image", "imgs", "img", "data", "samples", "pictures", "features", "arr")
_LABELS = ("y", "labels", "label", "targets", "target", "classes", "class")
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_LISTED = 100  # class names that are shown of numbers


def npy(name: str, content: bytes) -> Array:
    """Read one array. Raises UserError when it is damaged or holds Python objects."""
    try:
        array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    except (*READ_ERRORS, SyntaxError) as error:
        raise _unreadable(name, error) from None
    return array


def npz(name: str, content: bytes) -> dict[str, Array]:
    """Read the arrays of an archive of numpy's. Raises UserError as `npy` does."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {f"{name}:{key}": arrays[key] for key in arrays.files}
    except (*READ_ERRORS, SyntaxError) as error:
        raise _unreadable(name, error) from None


def idx(name: str, content: bytes) -> Array:
    """Read an idx file, gzipped or not. Raises UserError when it is damaged."""
    try:
        raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        kind, dimensions = np.dtype(_IDX_TYPES[raw[2]]), raw[3]
        shape = np.frombuffer(raw, ">u4", dimensions, 4).tolist()
        array = np.frombuffer(raw, kind, offset=4 + 4 * dimensions).reshape(shape)
    except (*READ_ERRORS, LookupError) as error:
        raise UserError(f"{name}: damaged, or no idx file; download it again") from error
    sideways = "emnist" in name.lower() and array.ndim == 3  # EMNIST's pictures are stored transposed
    return array.transpose(0, 2, 1) if sideways else array.astype(kind.newbyteorder("="))


def array_items(arrays: Mapping[str, Array]) -> Iterator[Item]:
    """Yield the images of named arrays, each with the label of the array of labels that its name belongs to.

    Raises UserError when an array's shape or number is not that of images and labels.
    """
    read = {name: _meaning(name) for name in arrays}
    images = [name for name in arrays if arrays[name].ndim >= 3 and read[name][0] != "labels"]
    images = images or [n for n in arrays if arrays[n].ndim == 2 and read[n][0] == "images"]
    if not images:
        raise UserError(
            f"{next(iter(arrays))}: no array of images (N×H×W, N×H×W×C) in it; "
            "name one images and its labels labels"
        )
    for name in images:
        _, half, group = read[name]
        pixels = _pixels(name, arrays[name])
        fitting = [o for o in arrays if read[o][0] == "labels" and read[o][1:] == (half, group)]
        fitting = fitting or [o for o in arrays if read[o][0] == "labels" and read[o][1] == half]
        labels = _labels(fitting[0], arrays[fitting[0]], len(pixels)) if fitting else [None] * len(pixels)
        for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            yield Item(f"{name}#{number:06d}", np.ascontiguousarray(image), None, half, label)


def _meaning(name: str) -> tuple[str, str | None, str]:
    """Return whether an array holds images or labels, of which half, and what else its name says."""
    text = re.sub(r"(\.npy|\.npz:|[-.]?idx[13][-.]ubyte(\.gz)?|\.gz)", " ", name).replace("t10k", "test")
    tokens = [token.lower() for token in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text))]
    halves = [named.half for token in tokens if (named := named_half(token))]
    role = next((kind for token in reversed(tokens) for kind, names in _ROLES if token in names), "")
    others = [p for p in tokens if not named_half(p) and p not in _IMAGES and p not in _LABELS]
    return role, halves[-1] if halves else None, " ".join(others)


_ROLES = (("labels", _LABELS), ("images", _IMAGES))


def _pixels(name: str, array: Array) -> Array:
    """Return images as (N, H, W) or (N, H, W, 3)."""
    if array.ndim == 2:  # flat rows: square grey ones, or three square planes
        for planes in (1, 3):
            side = round((array.shape[1] / planes) ** 0.5)
            if side * side * planes == array.shape[1]:
                array = array.reshape(-1, planes, side, side)
                break
    if array.dtype.kind not in "uif" or array.ndim not in (3, 4):
        raise UserError(f"{name}: {array.dtype} {array.shape} are no images; give N×H×W or N×H×W×C")
    if array.dtype == np.int64:
        array = array.astype(np.int32)
    if array.ndim == 4 and array.shape[-1] not in (1, 3, 4) and array.shape[1] in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 4 and array.shape[-1] not in (3, 4):
        raise UserError(f"{name}: {array.shape[-1]} channels; images have 1, 3 or 4")
    return array[..., :3] if array.ndim == 4 else array


def _labels(name: str, array: Array, count: int) -> list[str]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "uifb" and (array.sum(1) == 1).all():  # one-hot
        array = array.argmax(1)
    if array.ndim != 1 or len(array) != count or array.dtype.kind not in "uibfUS":
        raise UserError(
            f"{name}: {array.dtype} {array.shape} are no labels of {count} images; give one an image, or "
            "leave the array out"
        )
    if array.dtype.kind == "S":
        return [value.decode(errors="replace") for value in array.tolist()]
    return [str(int(v) if array.dtype.kind in "fb" and float(v).is_integer() else v) for v in array.tolist()]


def _unreadable(name: str, error: Exception) -> UserError:
    if "pickle" in str(error).lower() or "object" in str(error).lower():
        return UserError(
            f"{name}: holds Python objects, which only unpickling reads, and that may run code; save plain "
            "arrays of numbers or text (array.astype(str), np.savez)"
        )
    return UserError(f"{posixpath.basename(name)}: damaged, or no array of numpy's; copy it again")
