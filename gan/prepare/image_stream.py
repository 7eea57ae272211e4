"""All images of data/raw, one after the other, in an order that does not vary."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from gan.data.archive_members import Limits, Member, Unreadable
from gan.data.archives import members
from gan.data.clutter import is_clutter
from gan.data.datasets import CELEBA_FILES
from gan.data.file_names import has_image_name
from gan.data.inventory import FILES, Inventory, folder_members
from gan.data.packed_names import packed_kind
from gan.errors import UserError
from gan.prepare.decoding.decode import Item
from gan.prepare.formats.packed_files import PackedFiles
from gan.prepare.formats.pixel_tables import is_pixel_table, pixel_items
from gan.prepare.layout.label_tables import LabelFiles
from gan.prepare.packed_datasets import cifar_items, digits_items, idx_items, svhn_items

CHUNK_PIXELS = 1 << 18  # of a chunk's images when they are prepared, 16 images at least: 256 of 32×32
_FEW = 64  # images that are decoded before workers would have started
CHUNK_BYTES = 4_000_000  # of file contents, unless one file alone has more


def read_items(
    raw: Path,
    inventory: Inventory,
    limits: Limits,
    labels: LabelFiles | None = None,
    page: str | None = None,
) -> Iterator[Item]:
    """Yield every image of the source. Those of folders and archives have no half or label yet.

    ``labels`` gathers the files on the way that may name labels; ``page`` is the code page of a zip's names.

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
    return _file_items(folder, inventory, limits, labels, page)


def is_small(inventory: Inventory) -> bool:
    """Say whether workers are not worth their start: few images, or arrays, which need no decoding."""
    if inventory.images is None:  # packed in arrays, or in parquet, whose images are files
        return inventory.kind not in ("celeba", "folder", "archive")
    return inventory.images <= _FEW


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


def _file_items(
    folder: Path, inventory: Inventory, limits: Limits, labels: LabelFiles | None, page: str | None
) -> Iterator[Item]:
    paths = inventory.paths()
    if inventory.kind == "archive":
        yield from _image_items(members(folder / paths[0], limits, page), limits, labels)
    else:
        limits.check_files(len(paths))
        limits.check_bytes("the source", sum(file["bytes"] for file in inventory.files))
        yield from _image_items(folder_members(folder, paths, limits, page), limits, labels)
    for left_out in inventory.skipped:
        if has_image_name(left_out["path"]):
            yield Item(left_out["path"], None, left_out["reason"])


def _image_items(
    members: Iterable[Member], limits: Limits, labels: LabelFiles | None = None
) -> Iterator[Item]:
    seen: set[str] = set()
    packed = PackedFiles(limits)
    for member in members:
        if is_clutter(member.path):
            continue
        if not has_image_name(member.path):
            if labels is not None and (kind := packed_kind(member.path)):
                yield from packed.read(member, kind)
                continue
            if labels is not None and labels.wants(member.path):
                content = labels.add(member, limits)
                if content is not None and is_pixel_table(content):
                    labels.forget(member.path)
                    yield from pixel_items(member.path, content)
                continue
            if not member.is_image():
                continue
        path = member.path
        while path in seen:  # an archive may hold one name twice
            path += "#2"
        seen.add(path)
        try:
            yield Item(path, member.content(limits))
        except Unreadable as reason:
            yield Item(path, None, str(reason))
    yield from packed.rest()


def _celeba_items(folder: Path, limits: Limits) -> Iterator[Item]:
    """Yield CelebA's aligned faces; its validation split counts as held out."""
    archive, partition = (folder / name for name in CELEBA_FILES)
    lines = partition.read_text(encoding="utf-8", errors="replace").splitlines()
    halves = {
        name: "train" if split == "0" else "test"
        for name, _, split in (line.partition(" ") for line in lines)
    }
    for item in _image_items(members(archive, limits), limits):
        name = item.path.rpartition("/")[2]
        if name not in halves:
            raise UserError(f"{partition.name}: says nothing of {name}; download it again")
        yield Item(item.path, item.content, item.refused, halves[name])
