"""Several images at once: decoded one by one, their statistics taken together."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan.data.archive_members import Unreadable
from gan.prepare.decoding.decode import Facts, Pixels, Shape, prepare_image
from gan.prepare.decoding.depth import Extremes, Ranges, Unscaled
from gan.prepare.decoding.pixels import is_grey, planes
from gan.prepare.decoding.statistics import difference_hash, grey, is_blank, statistics, thumbnails

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
    extremes: list[Extremes]  # of images of more than 8 bits whose range is not known: status "unscaled"


def prepare_chunk(
    contents: Sequence[bytes | Pixels | None], shape: Shape, ranges: Ranges | None = None
) -> Prepared:
    """Prepare several images; one that cannot be is refused with its reason, never raises.

    One without content is refused already: its columns are null but for the status.
    """
    rows: list[Facts] = [{"status": "ok"} for _ in contents]
    extremes: list[Extremes] = []
    squares: list[Pixels | None] = [None] * len(rows)
    lumas: list[Pixels | None] = [None] * len(rows)
    for index, (content, row) in enumerate(zip(contents, rows, strict=True)):
        try:
            if content is None:
                raise Unreadable
            squares[index], lumas[index] = prepare_image(content, shape, row, ranges)
        except Unscaled as unscaled:
            row["status"] = "unscaled"
            extremes.append(unscaled.extremes)
        except Unreadable as reason:
            row |= {"status": "refused", "reason": str(reason) or None}
    images: list[Pixels | None] = [None] * len(rows)
    small: list[Pixels | None] = [None] * len(rows)
    for indices, stack in _stacks(squares):
        pixels = planes(stack)
        plain = is_grey(pixels) if pixels.shape[1] == 3 else np.zeros(len(pixels), bool)
        for chosen, source in ((~plain, pixels), (plain, pixels[:, :1])):
            if chosen.any():
                numbers = [index for index, taken in zip(indices, chosen.tolist(), strict=True) if taken]
                selected = source if chosen.all() else source[chosen]
                _measure(numbers, np.ascontiguousarray(selected), rows, images, lumas, small)
    for indices, stack in _stacks(lumas):
        for index, value in zip(indices, difference_hash(stack).tolist(), strict=True):
            rows[index]["dhash"] = f"{value:016x}"
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    channels = [0 if image is None else image.shape[0] for image in images]
    return Prepared(columns, channels, _joined(images), _joined(small), extremes)


def _measure(
    indices: list[int],
    pixels: Pixels,
    rows: list[Facts],
    images: list[Pixels | None],
    lumas: list[Pixels | None],
    small: list[Pixels | None],
) -> None:
    """Put down the images at these indices, uint8 (N, C, S, S), and their facts; refuse blank ones."""
    luma = grey(pixels)
    measured, tiny, blank = statistics(pixels, luma), thumbnails(luma), is_blank(pixels).tolist()
    for number, index in enumerate(indices):
        row = rows[index]
        if blank[number]:
            row |= {"status": "refused", "reason": "blank"}
            lumas[index] = None
            continue
        row["pixels_sha256"] = hashlib.sha256(pixels[number]).hexdigest()
        row |= {name: values[number] for name, values in measured.items()}
        images[index], small[index] = pixels[number], tiny[number]
        if lumas[index] is None:  # the image was not resized
            lumas[index] = luma[number]


def _joined(arrays: list[Pixels | None]) -> bytes:
    return b"".join(array.data for array in arrays if array is not None)


def _stacks(arrays: list[Pixels | None]) -> Iterator[tuple[list[int], Pixels]]:
    """Yield the indices of arrays of one shape, and these stacked."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index, array in enumerate(arrays):
        if array is not None:
            by_shape.setdefault(array.shape, []).append(index)
    for indices in by_shape.values():
        yield (
            indices,
            np.stack([array for array in (arrays[index] for index in indices) if array is not None]),
        )
