"""Decoding on all cores: results in order, a bounded number of chunks in work, no process left behind.

Workers are spawned, import only numpy and Pillow, and wait on a pipe of their own, so that the
end of this process, even by kill -9, ends them too.
"""

import multiprocessing
import os
import queue
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from gan.errors import UserError
from gan.prepare.decoding.batch import Prepared, prepare_chunk
from gan.prepare.decoding.decode import Item, Shape
from gan.prepare.decoding.depth import Ranges

MOST_WORKERS = 8  # each may hold one image of data.max_pixels, some 12 bytes a pixel


_Link: TypeAlias = "Connection[Any, Any]"  # generic to the type checker only


@contextmanager
def started(shape: Shape, workers: int) -> Iterator["Pool | None"]:
    """Start worker processes, which are ended with the block; None where there are to be none.

    They take a while to be ready, so begin early.
    """
    with ExitStack() as stack:
        yield Pool(shape, workers, stack) if workers else None


def prepare_all(
    chunks: Iterable[list[Item]], shape: Shape, pool: "Pool | None", ranges: Ranges | None = None
) -> Generator[tuple[list[Item], Prepared], None, None]:
    """Yield each chunk with its results, in order; without a pool this process does all of it.

    Raises UserError when a worker is killed, usually for memory.
    """
    if pool is None:
        for chunk in chunks:
            yield chunk, prepare_chunk([item.content for item in chunk], shape, ranges)
        return
    under_way: deque[tuple[list[Item], Future[Prepared]]] = deque()
    for chunk in chunks:
        under_way.append((chunk, pool.submit(chunk, ranges)))
        if len(under_way) > 2 * pool.workers:
            done, future = under_way.popleft()
            yield done, future.result()
    for done, future in under_way:
        yield done, future.result()


def worker_count() -> int:
    """Return how many workers this machine's cores call for."""
    return max(1, min(MOST_WORKERS, len(os.sched_getaffinity(0))))


class Pool:
    """Worker processes, each waited for by a thread of this process; ``stack`` ends them."""

    def __init__(self, shape: Shape, workers: int, stack: ExitStack) -> None:
        self.workers = workers
        self.idle: queue.SimpleQueue[_Link] = queue.SimpleQueue()
        context = multiprocessing.get_context("spawn")
        processes = []
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, shape), daemon=True)
            process.start()
            processes.append(process)
            theirs.close()  # the worker alone holds its end: whoever dies, the other notices
            stack.callback(ours.close)
            stack.callback(process.join)
            self.idle.put(ours)
        self.threads = ThreadPoolExecutor(workers)
        stack.callback(self.threads.shutdown, cancel_futures=True)
        for process in processes:  # this is done first: the threads then wait no more
            stack.callback(process.terminate)

    def submit(self, chunk: list[Item], ranges: Ranges | None) -> Future[Prepared]:
        """Begin a chunk as soon as a worker is free."""
        return self.threads.submit(self._ask, chunk, ranges)

    def _ask(self, chunk: list[Item], ranges: Ranges | None) -> Prepared:
        link = self.idle.get()
        try:
            link.send(([item.content for item in chunk], ranges))
            results: Prepared = link.recv()
        except (EOFError, OSError):
            raise UserError(
                f"a decoding process was killed between {chunk[0].path} and {chunk[-1].path}, most likely "
                "for memory; lower data.max_pixels or free some memory"
            ) from None
        finally:
            self.idle.put(link)  # of a dead worker too: whoever takes it gets the same error
        return results


def _work(link: _Link, shape: Shape) -> None:
    """Answer chunks until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; our parent decides
    with suppress(EOFError, OSError):
        while True:
            contents, ranges = link.recv()
            link.send(prepare_chunk(contents, shape, ranges))
