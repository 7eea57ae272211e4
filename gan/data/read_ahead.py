"""A stream that is decompressed by a thread ahead of its reader, and never beyond the limits."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from tarfile import StreamError
from typing import IO

_BLOCK = 1 << 20  # bytes
_BLOCKS = 8  # read ahead at most


class Ahead:
    """A file to read from front to back; ``check`` is told how many bytes have come, and may raise.

    What the file or ``check`` raises, `read` raises.
    """

    def __init__(self, file: IO[bytes], check: Callable[[int], None]) -> None:
        self._file, self._check = file, check
        self._blocks: queue.Queue[bytes | Exception] = queue.Queue(_BLOCKS)
        self._block, self._offset, self._before = b"", 0, 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes; fewer only at the end."""
        chunk = self._take(count)
        if len(chunk) == count:
            return chunk
        chunks = [chunk]
        while (count := count - len(chunk)) > 0 and self._next():
            chunk = self._take(count)
            chunks.append(chunk)
        return b"".join(chunks)

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return self._before + self._offset

    def seek(self, offset: int) -> None:
        """Go forward, at most to the end. Raises StreamError when that would be backward."""
        left = offset - self.tell()
        if left < 0:
            raise StreamError("a stream has no way back")
        while left and (chunk := self.read(min(left, _BLOCK))):
            left -= len(chunk)

    def _take(self, count: int) -> bytes:
        chunk = self._block[self._offset : self._offset + max(0, count)]
        self._offset += len(chunk)
        return chunk

    def _next(self) -> bool:
        """Wait for the next block; say whether there is one."""
        block = self._blocks.get()
        if isinstance(block, Exception) or not block:
            self._blocks.put(block)  # for whoever asks again: the thread is done
            if isinstance(block, Exception):
                raise block
            return False
        self._before += len(self._block)
        self._block, self._offset = block, 0
        return True

    def close(self) -> None:
        """End the thread and close the file."""
        self._closed.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._blocks.get(timeout=0.05)  # it may wait for room
        self._file.close()

    def _fill(self) -> None:
        total = 0
        try:
            while not self._closed.is_set():
                block = self._file.read(_BLOCK)
                total += len(block)
                self._check(total)
                self._blocks.put(block)
                if not block:
                    return
        except Exception as error:
            self._blocks.put(error)
