"""The record of what a source gave: each file's bytes, checksum and origin, and what was left out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gan.data.members import Member
from gan.data.names import ARCHIVE_SUFFIXES, has_image_name
from gan.data.sources import SOURCES, Kind
from gan.errors import UserError
from gan.files import read_json, sha256_file, write_json

RAW = Path("data/raw")
INVENTORY = "inventory.json"
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

    def paths(self) -> list[str]:
        """Return the files' paths, sorted."""
        return [str(file["path"]) for file in self.files]


@dataclass(frozen=True)
class Contents:
    """What a look into a source's files found."""

    images: int | None = None  # as in the inventory
    other_files: int | None = None
    licence: str | None = None
    entries: dict[str, str] | None = None  # of an archive: path, and what changes when the file does


def take_inventory(
    raw: Path,
    source: str,
    kind: Kind,
    origins: Mapping[str, str],
    skipped: Mapping[str, str],
    contents: Contents,
) -> Inventory:
    """Record what lies under ``raw/files``; write and return the inventory.

    ``origins`` maps each relative path to where it came from. Raises UserError when there is no
    image in it.
    """
    if contents.images == 0:
        raise UserError(f"data.source: {source}: {_no_image(list(origins))}")
    files = [
        {"path": path, "bytes": place.stat().st_size, "sha256": sha256_file(place), "origin": origins[path]}
        for path, place in ((path, raw / FILES / path) for path in sorted(origins))
    ]
    left_out = [{"path": path, "reason": reason} for path, reason in sorted(skipped.items())]
    licence = SOURCES[source].licence if source in SOURCES else contents.licence
    inventory = Inventory(source, kind, licence, contents.images, contents.other_files, files, left_out)
    write_json(raw / INVENTORY, asdict(inventory))
    return inventory


def read_inventory(raw: Path) -> Inventory:
    """Read ``raw/inventory.json``. Raises UserError when it is absent or not an inventory."""
    content = read_json(raw / INVENTORY)
    try:
        return Inventory(**content)
    except TypeError as error:
        raise UserError(
            f"{raw / INVENTORY}: not an inventory ({error}); run `dvc repro -f download`"
        ) from None


def folder_members(folder: Path, paths: list[str]) -> list[Member]:
    """Return a folder's files as members."""

    def member(path: str) -> Member:
        place = folder / path
        return Member(path, place.stat().st_size, lambda: open(place, "rb"))

    return [member(path) for path in paths]


def _no_image(paths: list[str]) -> str:
    archives = [path for path in paths if path.lower().endswith(ARCHIVE_SUFFIXES)]
    if len(paths) > 1 and archives and not any(map(has_image_name, paths)):
        return f"no image in it, but archives such as {archives[0]}; give that file as data.source"
    return "no image in it (jpg, png, gif, bmp, webp, tif, ppm); give a folder or archive of images"
