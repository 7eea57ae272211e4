"""A temporary file of prepared images, before their half and channel count are known.

Plain reads and writes of a file without a name: a full disk is an OSError (a memory map would
be a bus error), and a killed process leaves nothing behind.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gan.files import naming

BLOCK = 1024  # images handled at once
WAITING = 32_000_000  # bytes that may wait for a slow disk


class Scratch:
    """Images of one size, each of 1 or 3 channels."""

    def __init__(self, file: BinaryIO, size: int, writer: Executor) -> None:
        self.file, self.size, self.writer = file, size, writer
        self.waiting: deque[tuple[int, Future[int]]] = deque()  # bytes to be written
        self.channels = bytearray()  # of the images that are kept
        self.planes = self.channels  # of all that the file holds
        self.selection: NDArray[np.bool_] | None = None
        self.thumbnails = bytearray()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.channels)

    def extend(self, channels: Iterable[int], pixels: bytes, thumbnails: bytes) -> None:
        """Append images, each of 1 or 3 planes of size × size bytes; thumbnails stay in memory.

        Pixels are written by ``writer``; what it raises is raised here or by `blocks`.
        """
        self.thumbnails += thumbnails
        self.channels.extend(channels)
        self.waiting.append((len(pixels), self.writer.submit(self.file.write, pixels)))
        self._wait(WAITING)

    def clear(self) -> None:
        """Forget all images."""
        self._wait(0)
        self.file.seek(0)
        self.file.truncate()
        self.channels.clear()
        self.thumbnails.clear()

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Forget the images that are not chosen, bool (N,); all have been appended."""
        if chosen.all():
            return
        self.selection, self.planes = chosen, self.channels
        self.channels = bytearray(np.frombuffer(self.planes, np.uint8)[chosen].tobytes())
        small = np.frombuffer(self.thumbnails, np.uint8).reshape(len(chosen), -1)
        self.thumbnails = bytearray(small[chosen].tobytes())

    def blocks(self, channels: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (first image's number, uint8 (B, channels, S, S)); grey images get equal planes."""
        self._wait(0)
        self.file.seek(0)
        done = 0
        for start in range(0, len(self.planes), BLOCK):
            planes = np.frombuffer(self.planes[start : start + BLOCK], np.uint8).astype(np.int64)
            flat = np.frombuffer(self.file.read(int(planes.sum()) * self.size**2), np.uint8)
            flat = flat.reshape(-1, self.size, self.size)
            block = self._spread(flat, planes, start, channels)
            if len(block):
                yield done, block
            done += len(block)

    def _spread(
        self, flat: NDArray[np.uint8], planes: NDArray[np.int64], start: int, channels: int
    ) -> NDArray[np.uint8]:
        """Return the kept images of a block, each of so many planes."""
        if self.selection is None and (planes == channels).all():
            return flat.reshape(-1, channels, self.size, self.size)
        first, step = np.cumsum(planes) - planes, planes
        if self.selection is not None:
            chosen = self.selection[start : start + len(planes)]
            first, step = first[chosen], planes[chosen]
        # plane numbers of each image: three in a row, or one three times
        return flat[first[:, None] + step[:, None] // 3 * np.arange(channels)]

    def _wait(self, most: int) -> None:
        """Wait until at most so many bytes are to be written."""
        while sum(count for count, _ in self.waiting) > most:
            self.waiting.popleft()[1].result()

    def grey_checksums(self, channels: int) -> dict[int, str]:
        """Return the sha256 of each grey image spread over ``channels`` equal planes, by number."""
        return {
            start + position: hashlib.sha256(block[position].tobytes()).hexdigest()
            for start, block in self.blocks(channels)
            for position in range(len(block))
            if self.channels[start + position] == 1
        }


@contextmanager
def open_scratch(folder: Path, size: int) -> Iterator[Scratch]:
    """Open a scratch file on the disk that ``folder`` is on."""
    path = folder / ".scratch.tmp"
    with naming(path):
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "w+b") as file:
            path.unlink()
            writer = ThreadPoolExecutor(1)
            try:
                yield Scratch(file, size, writer)
            finally:
                writer.shutdown(cancel_futures=True)
