"""All images of data/raw, one after the other, in an order that does not vary."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from gan.data.archives import members
from gan.data.decode import Item
from gan.data.inventory import FILES, Inventory, folder_members
from gan.data.members import Limits, Member, Unreadable
from gan.data.names import has_image_name, is_clutter
from gan.data.packed import cifar_items, digits_items, idx_items, svhn_items
from gan.data.sources import CELEBA_FILES
from gan.errors import UserError

CHUNK_PIXELS = 1 << 18  # of a chunk's images when they are prepared, 16 images at least: 256 of 32×32
_FEW = 64  # images that are decoded before workers would have started
CHUNK_BYTES = 4_000_000  # of file contents, unless one file alone has more


def read_items(raw: Path, inventory: Inventory, limits: Limits) -> Iterator[Item]:
    """Yield every image of the source. Those of folders and archives have no half or label yet.

    Raises UserError when the source is damaged as a whole, or beyond the limits as a whole.
    """
    folder = raw / FILES
    if inventory.kind == "digits":
        return digits_items(folder)
    if inventory.kind == "idx":
        return idx_items(folder, inventory.source)
    if inventory.kind == "cifar":
        return cifar_items(folder)
    if inventory.kind == "svhn":
        return svhn_items(folder)
    if inventory.kind == "celeba":
        return _celeba_items(folder, limits)
    return _file_items(folder, inventory, limits)


def is_small(inventory: Inventory) -> bool:
    """Say whether workers are not worth their start: few images, or arrays, which need no decoding."""
    return inventory.kind != "celeba" and (inventory.images or 0) <= _FEW  # of arrays none are counted


def chunked(items: Iterable[Item], image_size: int) -> Iterator[list[Item]]:
    """Group items into chunks that are worth sending to another process."""
    most = max(16, CHUNK_PIXELS // image_size**2)
    chunk: list[Item] = []
    size = 0
    for item in items:
        chunk.append(item)
        size += len(item.content) if isinstance(item.content, bytes) else 0
        if len(chunk) == most or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _file_items(folder: Path, inventory: Inventory, limits: Limits) -> Iterator[Item]:
    paths = inventory.paths()
    if inventory.kind == "archive":
        yield from _image_items(members(folder / paths[0], limits), limits)
    else:
        limits.check_files(len(paths))
        limits.check_bytes("the source", sum(file["bytes"] for file in inventory.files))
        yield from _image_items(folder_members(folder, paths), limits)
    for left_out in inventory.skipped:
        if has_image_name(left_out["path"]):
            yield Item(left_out["path"], None, left_out["reason"])


def _image_items(found: Iterable[Member], limits: Limits) -> Iterator[Item]:
    seen: set[str] = set()
    for member in found:
        if is_clutter(member.path) or not member.is_image():
            continue
        path = member.path
        while path in seen:  # an archive may hold one name twice
            path += "#2"
        seen.add(path)
        try:
            yield Item(path, member.content(limits))
        except Unreadable as reason:
            yield Item(path, None, str(reason))


def _celeba_items(folder: Path, limits: Limits) -> Iterator[Item]:
    """Yield CelebA's aligned faces; its validation part counts as held out."""
    archive, partition = (folder / name for name in CELEBA_FILES)
    lines = partition.read_text(encoding="utf-8", errors="replace").splitlines()
    halves = {
        name: "train" if part == "0" else "test" for name, _, part in (line.partition(" ") for line in lines)
    }
    for item in _image_items(members(archive, limits), limits):
        name = item.path.rpartition("/")[2]
        if name not in halves:
            raise UserError(f"{partition.name}: says nothing of {name}; download it again")
        yield Item(item.path, item.content, item.refused, halves[name])
