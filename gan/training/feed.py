"""Batches of training images, in an order that depends on the seed and the epoch alone.

The whole uint8 set lives on the device where it takes less than half of the free memory. Where it
does not, each batch is gathered from the memory-mapped file by a thread, one step ahead, into
pinned memory, and copied on a stream of its own while the device computes.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from gan import seeds
from gan.data.arrays import Arrays
from gan.training.distributed import World


@dataclass(frozen=True)
class Data:
    """The training half: uint8 images (N, C, H, W), int64 labels (N,) or None, its classes, their names."""

    images: torch.Tensor
    labels: torch.Tensor | None = None
    classes: int = 0
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, arrays: Arrays) -> "Data":
        """Take packed arrays as they are, without a copy."""
        labels = None if arrays.labels is None else torch.from_numpy(arrays.labels)
        names = arrays.classes or ()
        return cls(torch.from_numpy(arrays.images), labels, len(names), names)


class Feed:
    """``images`` uint8 (N, C, H, W), ``labels`` int64 (N,) or None; ``shape`` (d_steps, size) a step.

    ``batch`` gives this process's share of each of the ``d_steps`` batches. On CUDA it is always the
    same memory, so that a captured graph can read it; each call overwrites what the last one gave.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor | None,
        shape: tuple[int, int],
        *,
        seed: int,
        device: str,
        world: World,
        resident: bool | None = None,
    ) -> None:
        self.shape, self.seed, self.device, self.world = shape, seed, device, world
        self.steps_per_epoch = len(images) // (shape[0] * shape[1])
        self.total = len(images)
        self.resident = fits(images, device) if resident is None else resident
        home = device if self.resident else "cpu"
        self.images = images.to(home)
        self.labels = None if labels is None else labels.to(home)
        self.order = (-1, torch.empty(0))
        self.out: tuple[torch.Tensor, torch.Tensor | None] | None = None
        self.ahead = None if self.resident else _Ahead(self)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return images and labels of ``step`` on the device."""
        images, labels = self.ahead.take(step) if self.ahead else self.gather(step)
        if self.device == "cpu":
            return images, labels
        if self.out is None:
            self.out = torch.empty_like(images), None if labels is None else torch.empty_like(labels)
        for target, source in zip(self.out, (images, labels), strict=True):
            if target is not None and source is not None:
                target.copy_(source)
        return self.out

    def gather(self, step: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the rows of ``step``, wherever the set lives."""
        rows = self.rows(step)
        return self.images[rows], None if self.labels is None else self.labels[rows]

    def rows(self, step: int) -> torch.Tensor:
        """Return the row numbers of this process at ``step``; an epoch sees no image twice."""
        epoch, within = divmod(step, self.steps_per_epoch)
        if self.order[0] != epoch:
            rng = seeds.generator(self.seed, "order", epoch)
            self.order = epoch, torch.randperm(self.total, generator=rng).to(self.images.device)
        count = self.shape[0] * self.shape[1]
        batches = self.order[1][within * count : (within + 1) * count].view(self.shape)
        return batches.chunk(self.world.size, 1)[self.world.rank].flatten()


def fits(images: torch.Tensor, device: str) -> bool:
    """Say whether the set may live on the device; on the CPU it stays in its memory-mapped file."""
    return device == "cpu" or bool(images.nbytes < torch.cuda.mem_get_info()[0] // 2)


class _Ahead:
    """Gathers the batch after the one in use."""

    def __init__(self, feed: Feed) -> None:
        self.feed, self.cuda = feed, feed.device == "cuda"
        self.thread = ThreadPoolExecutor(1)
        self.stream = torch.cuda.Stream() if self.cuda else None
        self.next: tuple[int, Future[tuple[torch.Tensor, torch.Tensor | None]]] | None = None

    def take(self, step: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.next is None or self.next[0] != step:
            self.next = step, self.thread.submit(self._fetch, step)
        images, labels = self.next[1].result()
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
            for tensor in (images, labels):
                if tensor is not None:  # made on the other stream, read on this one
                    tensor.record_stream(torch.cuda.current_stream())
        self.next = step + 1, self.thread.submit(self._fetch, step + 1)
        return images, labels

    def _fetch(self, step: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        images, labels = self.feed.gather(step)
        if self.stream is None:
            return images, labels
        with torch.cuda.stream(self.stream):
            # The caching allocators keep pinned and device memory until their copies are done.
            return tuple(  # type: ignore[return-value]
                None if tensor is None else tensor.pin_memory().to("cuda", non_blocking=True)
                for tensor in (images, labels)
            )
