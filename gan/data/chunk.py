"""Several images at once: decoded one by one, their statistics taken together."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.data.decode import Facts, Pixels, Shape, prepare_image
from gan.data.members import Unreadable
from gan.data.pixels import is_grey, planes
from gan.data.statistics import difference_hash, grey, is_blank, statistics, thumbnails

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
    squares: list[Pixels | None] = [None] * len(rows)
    lumas: list[Pixels | None] = [None] * len(rows)
    for place, (content, row) in enumerate(zip(contents, rows, strict=True)):
        try:
            if content is None:
                raise Unreadable
            squares[place], lumas[place] = prepare_image(content, shape, row)
        except Unreadable as reason:
            row |= {"status": "refused", "reason": str(reason) or None}
    images: list[Pixels | None] = [None] * len(rows)
    small: list[Pixels | None] = [None] * len(rows)
    for places, stack in _stacks(squares):
        pixels = planes(stack)
        plain = is_grey(pixels) if pixels.shape[1] == 3 else np.zeros(len(pixels), bool)
        for chosen, kept in ((~plain, pixels), (plain, pixels[:, :1])):
            if chosen.any():
                numbers = [place for place, taken in zip(places, chosen.tolist(), strict=True) if taken]
                part = kept if chosen.all() else kept[chosen]
                _measure(numbers, np.ascontiguousarray(part), rows, images, lumas, small)
    for places, stack in _stacks(lumas):
        for place, value in zip(places, difference_hash(stack).tolist(), strict=True):
            rows[place]["dhash"] = f"{value:016x}"
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    channels = [0 if image is None else image.shape[0] for image in images]
    return Prepared(columns, channels, _joined(images), _joined(small))


def _measure(
    places: list[int],
    pixels: Pixels,
    rows: list[Facts],
    images: list[Pixels | None],
    lumas: list[Pixels | None],
    small: list[Pixels | None],
) -> None:
    """Put down the images of these places, uint8 (N, C, S, S), and their facts; refuse blank ones."""
    luma = grey(pixels)
    found, tiny, blank = statistics(pixels, luma), thumbnails(luma), is_blank(pixels).tolist()
    for number, place in enumerate(places):
        row = rows[place]
        if blank[number]:
            row |= {"status": "refused", "reason": "blank"}
            lumas[place] = None
            continue
        row["pixels_sha256"] = hashlib.sha256(pixels[number]).hexdigest()
        row |= {name: values[number] for name, values in found.items()}
        images[place], small[place] = pixels[number], tiny[number]
        if lumas[place] is None:  # the image was not resized
            lumas[place] = luma[number]


def _joined(arrays: list[Pixels | None]) -> bytes:
    return b"".join(array.data for array in arrays if array is not None)


def _stacks(arrays: list[Pixels | None]) -> Iterator[tuple[list[int], Pixels]]:
    """Yield the places of arrays of one shape, and these stacked."""
    found: dict[tuple[int, ...], list[int]] = {}
    for place, array in enumerate(arrays):
        if array is not None:
            found.setdefault(array.shape, []).append(place)
    for places in found.values():
        yield places, np.stack([array for array in (arrays[place] for place in places) if array is not None])
