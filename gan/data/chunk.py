"""Several images at once: decoded one by one, their statistics taken together."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.data.decode import Facts, Pixels, Shape, prepare_image
from gan.data.members import Unreadable
from gan.data.statistics import difference_hash, grey, statistics, thumbnails

# Columns of the manifest that are known of an image by itself.
COLUMNS = (
    *("sha256", "pixels_sha256", "dhash", "bytes", "width", "height", "mode", "format"),
    *("mean", "std", "min", "max", "sharpness", "entropy", "status", "reason", "note"),
)


class Prepared(NamedTuple):
    """What became of a chunk, image by image; plain lists and bytes, to be sent between processes."""

    columns: dict[str, list[Any]]  # of the manifest
    channels: list[int]  # 1 or 3; 0: refused
    pixels: bytes  # of those not refused, one after the other
    thumbnails: bytes  # likewise, SIDE × SIDE each


def prepare_chunk(contents: Sequence[bytes | Pixels | None], shape: Shape) -> Prepared:
    """Prepare several images; one that cannot be is refused with its reason, never raises.

    One without content is refused already: its columns are null but for the status.
    """
    rows: list[Facts] = [{"status": "ok"} for _ in contents]
    images: list[Pixels | None] = [None] * len(rows)
    lumas: list[Pixels | None] = [None] * len(rows)
    for place, (content, row) in enumerate(zip(contents, rows, strict=True)):
        try:
            if content is None:
                raise Unreadable
            images[place], lumas[place] = prepare_image(content, shape, row)
        except Unreadable as reason:
            row |= {"status": "refused", "reason": str(reason) or None}
    small = _measure(images, lumas, rows)
    _hash(lumas, rows)
    good = [image for image in images if image is not None]
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    channels = [0 if image is None else image.shape[0] for image in images]
    return Prepared(columns, channels, b"".join(map(bytes, good)), b"".join(filter(None, small)))


def _measure(
    images: list[Pixels | None], lumas: list[Pixels | None], rows: list[Facts]
) -> list[bytes | None]:
    """Fill in the statistics, and the grey of images that were not resized; refuse blank ones.

    Returns the thumbnails of the others.
    """
    small: list[bytes | None] = [None] * len(rows)
    for places in _alike(images):
        stack = np.stack([image for image in (images[place] for place in places) if image is not None])
        luma = grey(stack)
        found, tiny = statistics(stack, luma), thumbnails(luma)
        blank = (stack == stack[:, :, :1, :1]).all((1, 2, 3))
        for number, place in enumerate(places):
            row = rows[place]
            if blank[number]:
                row |= {"status": "refused", "reason": "blank"}
                images[place] = lumas[place] = None
                continue
            small[place] = tiny[number].tobytes()
            row["pixels_sha256"] = hashlib.sha256(stack[number].tobytes()).hexdigest()
            row |= {name: values[number] for name, values in found.items()}
            if lumas[place] is None:
                lumas[place] = luma[number]
    return small


def _hash(lumas: list[Pixels | None], rows: list[Facts]) -> None:
    for places in _alike(lumas):
        stack = np.stack([luma for luma in (lumas[place] for place in places) if luma is not None])
        for place, value in zip(places, difference_hash(stack).tolist(), strict=True):
            rows[place]["dhash"] = f"{value:016x}"


def _alike(arrays: list[Pixels | None]) -> list[list[int]]:
    """Return the places of arrays that are there, grouped by shape."""
    found: dict[tuple[int, ...], list[int]] = {}
    for place, array in enumerate(arrays):
        if array is not None:
            found.setdefault(array.shape, []).append(place)
    return list(found.values())
