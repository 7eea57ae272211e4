"""The inventory of data/raw: each file's size, checksum and origin, and the skipped files."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gan import paths
from gan.data.archive_members import Limits, Member
from gan.data.archives import folder_of, members
from gan.data.datasets import SOURCES, Kind
from gan.data.file_names import has_image_name
from gan.errors import UserError
from gan.files import read_json, sha256_file, write_json

FILES = "files"  # the folder of data/raw that holds what the source gave


@dataclass(frozen=True)
class Inventory:
    """The content of ``inventory.json``."""

    source: str
    kind: Kind
    licence: str | None  # a known set's, or what a file in the source says, quoted
    images: int | None  # files that look like images; None for sets packed in arrays
    other_files: int | None
    files: list[dict[str, Any]]  # path under files/, bytes, sha256, origin; sorted by path
    skipped: list[dict[str, str]]  # path, reason; sorted by path
    clutter: dict[str, int] = field(default_factory=dict)  # other programs' files, by name; absent: none

    def paths(self) -> list[str]:
        """Return the files' paths, sorted."""
        return [str(file["path"]) for file in self.files]


@dataclass(frozen=True)
class Contents:
    """The contents of a source's files."""

    images: int | None = None  # as in the inventory
    other_files: int | None = None
    licence: str | None = None
    clutter: dict[str, int] = field(default_factory=dict)
    entries: dict[str, str] | None = None  # of an archive: path, and what changes when the file does


def take_inventory(
    raw: Path,
    source: str,
    kind: Kind,
    origins: Mapping[str, str],
    skipped: Mapping[str, str],
    contents: Contents,
    clutter: Mapping[str, int],
) -> Inventory:
    """Record the files under ``raw/files``; write and return the inventory.

    ``origins`` maps each relative path to where it came from. Raises UserError when there is no
    image in it.
    """
    if contents.images == 0:
        raise UserError(
            f"data.source: {source}: no image in it (jpg, png, gif, bmp, webp, tif, ppm); "
            "give a folder or archive of images"
        )
    files = [
        {"path": path, "bytes": target.stat().st_size, "sha256": sha256_file(target), "origin": origins[path]}
        for path, target in ((path, raw / FILES / path) for path in sorted(origins))
    ]
    left_out = [{"path": path, "reason": reason} for path, reason in sorted(skipped.items())]
    licence = SOURCES[source].licence if source in SOURCES else contents.licence
    passed_over = {name: count for name, count in sorted({**contents.clutter, **clutter}.items()) if count}
    inventory = Inventory(
        source, kind, licence, contents.images, contents.other_files, files, left_out, passed_over
    )
    record = asdict(inventory)
    if not passed_over:
        del record["clutter"]
    write_json(raw / paths.INVENTORY.name, record)
    return inventory


def read_inventory(raw: Path) -> Inventory:
    """Read ``raw/inventory.json``. Raises UserError when it is absent or not an inventory."""
    content = read_json(raw / paths.INVENTORY.name)
    try:
        return Inventory(**content)
    except TypeError as error:
        raise UserError(
            f"{raw / paths.INVENTORY.name}: not an inventory ({error}); run `dvc repro -f download`"
        ) from None


def folder_members(
    folder: Path, paths: list[str], limits: Limits | None = None, page: str | None = None
) -> Iterator[Member]:
    """Yield a folder's files as members; of archives their files, each below a folder of its name.

    Archives beside images are copies of them, or no part of the set, and are left alone.
    """
    nested = not any(has_image_name(path) for path in paths)

    def member(path: str) -> Member:
        file = folder / path
        return Member(path, file.stat().st_size, lambda: open(file, "rb"))

    for path in paths:
        below = folder_of(path) if nested else None
        if below is None:
            yield member(path)
            continue
        for inner in members(folder / path, limits, page):
            inner.path = f"{below}/{inner.path}"
            yield inner
