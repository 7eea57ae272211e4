"""Packed files among a source's: read as they come, or, where images and labels are apart, at the end."""

from collections.abc import Iterator

from gan.data.archive_members import Limits, Member
from gan.prepare.decoding.decode import Item
from gan.prepare.formats.array_files import Array, array_items, idx, npy, npz
from gan.prepare.formats.cifar_batches import cifar_batch_items
from gan.prepare.formats.parquet_files import parquet_items


class PackedFiles:
    """Gathers what has to wait for the rest: arrays for their labels, batches for their class names."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.arrays: dict[str, Array] = {}
        self.batches: dict[str, bytes] = {}

    def read(self, member: Member, kind: str) -> Iterator[Item]:
        """Yield a file's images, or keep it until `rest`. Raises UserError: damaged or too large."""
        self.limits.check_bytes(member.path, member.size)
        content, name = member.everything(), member.path
        if kind == "parquet":
            yield from parquet_items(name, content)
        elif kind == "npz":
            yield from array_items(npz(name, content))
        elif kind == "cifar":
            self.batches[name] = content
        else:
            self.arrays[name] = npy(name, content) if kind == "npy" else idx(name, content)

    def rest(self) -> Iterator[Item]:
        """Yield the images of what was kept."""
        plain = {name for name in self.arrays if not name.endswith(".gz")}
        arrays = {
            name: self.arrays[name]
            for name in sorted(self.arrays)  # torchvision leaves both; one is enough
            if not (name.endswith(".gz") and name.removesuffix(".gz") in plain)
        }
        if arrays:
            yield from array_items(arrays)
        if self.batches:
            yield from cifar_batch_items(self.batches)
