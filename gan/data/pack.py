"""From data/raw to packed arrays and the manifest, in one pass and in bounded memory."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pandas as pd

from gan.data.account import Tell, tell_account
from gan.data.arrays import write_header
from gan.data.chunk import Prepared
from gan.data.decode import Item
from gan.data.inventory import Inventory
from gan.data.items import chunked, read_items
from gan.data.layout import read_layout
from gan.data.manifest import Rows, count_reasons, write_manifest
from gan.data.near import groups, near_pairs
from gan.data.scratch import Scratch, open_scratch
from gan.data.settings import Settings
from gan.data.splits import hold_out
from gan.data.statistics import SIDE
from gan.data.workers import Pool, prepare_all
from gan.errors import UserError
from gan.files import atomic_writer

Progress = Callable[[int, int | None], None]
PREPARED = Path("data/prepared")
HALVES = ("train", "test")


def prepare(
    settings: Settings,
    inventory: Inventory,
    raw: Path,
    folder: Path,
    pool: Pool | None,
    tell: Tell,
    progress: Progress,
) -> None:
    """Write ``train.safetensors``, ``test.safetensors`` and ``manifest.parquet`` into ``folder``.

    ``pool`` decodes, or without one this process. ``tell`` gets lines for the user, ``progress`` the
    images done and their number if known. All three files are written before the first takes its
    place. Raises UserError when the source is damaged or no image of it can be used.
    """
    with open_scratch(folder, settings.shape.size) as scratch:
        items = read_items(raw, inventory, settings.limits)
        results = prepare_all(chunked(items, settings.shape.size), settings.shape, pool)
        frame = _gathered(results, scratch, lambda done: progress(done, inventory.images))
        good = frame["status"] == "ok"
        if not good.any():
            reasons = ", ".join(f"{count} {reason}" for reason, count in count_reasons(frame).items())
            raise UserError(
                f"data.source: {inventory.source}: none of {len(frame)} images can be used: {reasons}"
            )
        if inventory.kind in ("archive", "folder"):
            _apply_layout(frame, tell)
        channels = max(scratch.channels) if settings.channels == "auto" else settings.channels
        if channels == 3:
            _checksum_grey(frame, good, scratch)
        keys = _group(frame, good, scratch, settings.near_duplicates)
        published = set(frame.loc[good, "split"].dropna()) == set(HALVES)
        if not published:
            _split(frame, good, keys, settings)
        frame.loc[good, "index"] = frame[good].groupby("split").cumcount().astype("Int64")
        _write(frame, good, scratch, channels, settings.policy(channels), folder)
    tell_account(frame, (channels, settings.shape.size, settings.shape.size), published, tell)


def _gathered(
    results: Generator[tuple[list[Item], Prepared], None, None],
    scratch: Scratch,
    progress: Callable[[int], None],
) -> pd.DataFrame:
    """Put the pixels into ``scratch``; return the manifest, splits and labels as the files say."""
    rows = Rows()
    done = 0
    with closing(results):
        for chunk, prepared in results:
            reasons = [
                item.refused or found for item, found in zip(chunk, prepared.columns["reason"], strict=True)
            ]
            given = {name: [getattr(item, name) for item in chunk] for name in ("path", "split", "label")}
            rows.extend({**prepared.columns, **given, "reason": reasons})
            scratch.extend(filter(None, prepared.channels), prepared.pixels, prepared.thumbnails)
            done += len(chunk)
            progress(done)
    return rows.frame()


def _apply_layout(frame: pd.DataFrame, tell: Tell) -> None:
    layout = read_layout(frame["path"].tolist())
    if layout.note:
        tell(layout.note)
    if layout.splits:
        frame["split"] = pd.array(layout.splits, dtype="string")
    if layout.labels:
        frame["label"] = pd.array(layout.labels, dtype="string")


def _checksum_grey(frame: pd.DataFrame, good: "pd.Series[bool]", scratch: Scratch) -> None:
    """Make grey images' checksums those of the three planes they are written as."""
    if 1 in scratch.channels:
        places = frame.index[good]
        checksums = scratch.grey_checksums(3)
        frame.loc[places[list(checksums)], "pixels_sha256"] = list(checksums.values())


def _group(frame: pd.DataFrame, good: "pd.Series[bool]", scratch: Scratch, bits: int | None) -> list[str]:
    """Number the groups of images that (nearly) repeat one another, in the order of their first images.

    Returns for each image that is good the least checksum of its group.
    """
    pixels = frame.loc[good, "pixels_sha256"].to_numpy(object)
    numbers, checksums = pd.factorize(pixels)
    first = np.arange(len(checksums))
    if bits is not None:
        once = np.unique(numbers, return_index=True)[1]
        digits = frame.loc[good, "dhash"].to_numpy(object)[once]
        hashes = np.array([int(text, 16) for text in digits], np.uint64)
        thumbnails = np.frombuffer(scratch.thumbnails, np.uint8).reshape(-1, SIDE, SIDE)[once]
        first = groups(len(hashes), near_pairs(hashes, thumbnails, bits))
    of_image = first[numbers]
    repeated = np.bincount(of_image)[of_image] > 1
    near_group = np.full(len(frame), -1)
    near_group[np.flatnonzero(good)[repeated]] = pd.factorize(of_image[repeated])[0]
    frame["near_group"] = pd.array(near_group, dtype="Int64")
    frame.loc[near_group < 0, "near_group"] = pd.NA
    least: dict[int, str] = {}
    for group, checksum in zip(first.tolist(), checksums, strict=True):
        least[group] = min(least.get(group, checksum), checksum)
    return [least[group] for group in of_image.tolist()]


def _split(frame: pd.DataFrame, good: "pd.Series[bool]", keys: list[str], settings: Settings) -> None:
    labels = [None if pd.isna(label) else str(label) for label in frame.loc[good, "label"]]
    pixels = frame.loc[good, "pixels_sha256"].tolist()
    halves = hold_out(pixels, keys, labels, settings.test_fraction, settings.seed)
    frame["split"] = pd.array([None] * len(frame), dtype="string")
    frame.loc[good, "split"] = halves


def _write(
    frame: pd.DataFrame, good: "pd.Series[bool]", scratch: Scratch, channels: int, policy: str, folder: Path
) -> None:
    halves = frame.loc[good, "split"].to_numpy(dtype=str)
    names = frame.loc[good, "label"]
    classes = tuple(sorted(names.unique())) if names.notna().all() else None
    labels = np.searchsorted(classes, names.to_numpy(dtype=str)).astype(np.int64) if classes else None
    with ExitStack() as stack:
        files = {half: stack.enter_context(atomic_writer(folder / f"{half}.safetensors")) for half in HALVES}
        manifest = stack.enter_context(atomic_writer(folder / "manifest.parquet"))
        for half, file in files.items():
            chosen = halves == half
            shape = (int(chosen.sum()), channels, scratch.size, scratch.size)
            write_header(file, shape, None if labels is None else labels[chosen], classes, policy)
        for start, block in scratch.blocks(channels):
            for half, file in files.items():
                chosen = halves[start : start + len(block)] == half
                file.write((block if chosen.all() else block[chosen]).data)
        write_manifest(frame, manifest)
