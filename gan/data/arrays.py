"""Packed arrays: safetensors files that numpy alone writes in blocks and reads by memory map.

The layout is the safetensors format's: 8 bytes little-endian header length, a JSON header padded
with spaces, the tensors' bytes. Tensor `images` is uint8 (N, C, H, W); a labelled set also has
`labels`, int64 (N,), and the class names as a JSON list under `classes` in the metadata.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gan.errors import UserError
from gan.runtime.packages import unpinned_packages

DTYPES: dict[str, np.dtype[Any]] = {"U8": np.dtype("<u1"), "I64": np.dtype("<i8")}
HEADER_LIMIT = 100_000_000  # bytes; the format's own limit

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Arrays:
    """A set of images: uint8 (N, C, H, W), labels int64 (N,) in [0, K) and K class names, or None.

    ``unpinned``: what stages were made with that is not as pinned, as `unpinned_packages` gives it.
    """

    images: Images
    labels: Labels | None
    classes: tuple[str, ...] | None
    unpinned: Mapping[str, dict[str, str]] = field(default_factory=dict)


def write_header(
    file: BinaryIO,
    shape: tuple[int, int, int, int],
    labels: Labels | None = None,
    classes: tuple[str, ...] | None = None,
    policy: str | None = None,
) -> None:
    """Begin a packed file: the header and the labels; the caller then writes the images' bytes.

    ``shape`` is that of all images, (N, C, H, W); ``policy`` says how they were made, for the
    metadata. Labels stand first, so that both tensors are
    aligned and the images can be appended block by block, however many there are.
    """
    header: dict[str, Any] = {}
    metadata = {} if policy is None else {"prepared": policy}
    if unpinned := unpinned_packages():
        metadata["unpinned"] = json.dumps(unpinned)
    start = 0
    if labels is not None and classes is not None:
        if labels.shape != shape[:1]:
            raise ValueError(f"{labels.shape} labels for {shape} images")
        metadata["classes"] = json.dumps(classes, ensure_ascii=False)
        start = 8 * len(labels)
        header["labels"] = {"dtype": "I64", "shape": [len(labels)], "data_offsets": [0, start]}
    if metadata:
        header["__metadata__"] = metadata
    end = start + math.prod(shape)
    header["images"] = {"dtype": "U8", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    if labels is not None and classes is not None:
        file.write(labels.astype("<i8").tobytes())


def read_arrays(path: Path) -> Arrays:
    """Map a packed file into memory; pages are read when touched.

    The arrays may be written to (torch asks for that); the file never changes (copy on write).
    Raises UserError when the file is absent, damaged, or holds something else.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage that writes it, `dvc repro`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a whole file of packed images ({error}); delete it and run `dvc repro`"
        ) from None


def _read(path: Path) -> Arrays:
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(HEADER_LIMIT, path.stat().st_size - 8):
            raise ValueError("the header is cut off")
        header = json.loads(file.read(length))
    data = np.memmap(path, dtype=np.uint8, mode="c", offset=0).view(np.ndarray)[8 + length :]
    metadata = header.pop("__metadata__", {})
    if max(entry["data_offsets"][1] for entry in header.values()) != len(data):
        raise ValueError("the length is wrong")
    images = _tensor(header["images"], data)
    if images.ndim != 4 or images.dtype != np.uint8:
        raise ValueError(f"images are {images.dtype} {images.shape}")
    unpinned = json.loads(metadata.get("unpinned", "{}"))
    if "labels" not in header:
        return Arrays(images, None, None, unpinned)
    labels = _tensor(header["labels"], data)
    classes = tuple(str(name) for name in json.loads(metadata["classes"]))
    if labels.shape != images.shape[:1] or (
        len(labels) and not 0 <= labels.min() <= labels.max() < len(classes)
    ):
        raise ValueError("the labels do not fit the images and classes")
    return Arrays(images, labels, classes, unpinned)


def _tensor(entry: dict[str, Any], data: NDArray[np.uint8]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    tensor: NDArray[Any] = data[start:end].view(DTYPES[entry["dtype"]])
    return tensor.reshape(entry["shape"])
