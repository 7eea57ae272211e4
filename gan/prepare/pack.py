"""From data/raw to packed arrays and the manifest, in one pass and in bounded memory."""

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pandas as pd

from gan.data.arrays import write_header
from gan.data.inventory import FILES, Inventory
from gan.data.manifest import Rows, count_reasons, write_manifest
from gan.data.zip_names import told
from gan.errors import UserError
from gan.files import atomic_writer
from gan.prepare.account import Tell, tell_account
from gan.prepare.decoding.batch import Prepared
from gan.prepare.decoding.decode import Item
from gan.prepare.decoding.depth import Extremes
from gan.prepare.decoding.statistics import SIDE
from gan.prepare.decoding.workers import Pool, prepare_all
from gan.prepare.image_stream import chunked, read_items
from gan.prepare.layout.decision import Layout, decide
from gan.prepare.layout.label_tables import LabelFiles
from gan.prepare.near_duplicates import groups, near_pairs
from gan.prepare.settings import Settings
from gan.prepare.splits import hold_out
from gan.prepare.staging_file import Scratch, open_scratch
from gan.prepare.value_ranges import decide_ranges

Progress = Callable[[int, int | None], None]
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
        ranges = settings.ranges
        while True:
            labels = LabelFiles()
            items = read_items(raw, inventory, settings.limits, labels, settings.zip_names)
            results = prepare_all(chunked(items, settings.shape.size), settings.shape, pool, ranges)
            frame, extremes = _gathered(results, scratch, lambda done: progress(done, inventory.images))
            if not extremes:
                break
            ranges = decide_ranges(extremes)  # of the set as a whole, by which all is read again
            for kind, (black, white) in ranges.items():
                tell(f"values of {kind}: {black:g} is black, {white:g} is white (data.value_range)")
            scratch.clear()
        good = frame["status"] == "ok"
        if frame.empty:
            raise UserError(f"data.source: {inventory.source}: no image in it, nor a table of pixels")
        if not good.any():
            reasons = ", ".join(f"{count} {reason}" for reason, count in count_reasons(frame).items())
            raise UserError(
                f"data.source: {inventory.source}: none of {len(frame)} images can be used: {reasons}"
            )
        if inventory.clutter:
            tell(f"passed over files of other programs: {_counted(inventory.clutter)}")
        guessed = settings.zip_names is None and inventory.kind == "archive"
        if guessed and (guess := told(raw / FILES / inventory.paths()[0])):
            tell(guess)
        good = _apply_layout(frame, scratch, labels, settings.layout, tell)
        if not good.any():
            raise UserError(
                f"data.layout: {inventory.source}: every image that can be used is set aside (see above); "
                "set data.layout: flat, or correct its patterns"
            )
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
) -> tuple[pd.DataFrame, list[Extremes]]:
    """Put the pixels into ``scratch``; return the manifest, splits and labels as the files say.

    And what was measured of images whose range of values is not known.
    """
    rows = Rows()
    extremes: list[Extremes] = []
    done = 0
    with closing(results):
        for chunk, prepared in results:
            reasons = [
                item.refused or refusal
                for item, refusal in zip(chunk, prepared.columns["reason"], strict=True)
            ]
            given = {name: [getattr(item, name) for item in chunk] for name in ("path", "split", "label")}
            rows.extend({**prepared.columns, **given, "reason": reasons})
            scratch.extend(filter(None, prepared.channels), prepared.pixels, prepared.thumbnails)
            extremes += prepared.extremes
            done += len(chunk)
            progress(done)
    return rows.frame(), extremes


def _counted(clutter: Mapping[str, int]) -> str:
    most = sorted(clutter.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} {name}" for name, count in most[:8]) + " …" * (len(most) > 8)


def _apply_layout(
    frame: pd.DataFrame, scratch: Scratch, files: LabelFiles, layout: Layout, tell: Tell
) -> "pd.Series[bool]":
    """Put down halves and labels, and what is set aside; return which images are left."""
    given = list(zip(_values(frame["split"]), _values(frame["label"]), strict=True))
    decision = decide(frame["path"].tolist(), given, files, layout)
    for line in decision.notes:
        tell(line)
    frame["split"] = pd.array(decision.halves, dtype="string")
    frame["label"] = pd.array(decision.labels, dtype="string")
    decoded = (frame["status"] == "ok").to_numpy(bool)
    aside = [index for index in decision.aside if decoded[index]]
    frame.loc[aside, "status"] = "aside"
    frame.loc[aside, "reason"] = [decision.aside[index] for index in aside]
    good = frame["status"] == "ok"
    scratch.keep(good.to_numpy(bool)[decoded])
    return good


def _values(column: "pd.Series[str]") -> list[str | None]:
    values: list[str | None] = column.astype(object).where(column.notna(), None).tolist()
    return values


def _checksum_grey(frame: pd.DataFrame, good: "pd.Series[bool]", scratch: Scratch) -> None:
    """Make grey images' checksums those of the three planes they are written as."""
    if 1 in scratch.channels:
        indices = frame.index[good]
        checksums = scratch.grey_checksums(3)
        frame.loc[indices[list(checksums)], "pixels_sha256"] = list(checksums.values())


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
    labels = _values(frame.loc[good, "label"])
    pixels = frame.loc[good, "pixels_sha256"].tolist()
    halves = hold_out(pixels, keys, labels, settings.test_fraction, settings.seed)
    frame["split"] = pd.array([None] * len(frame), dtype="string")
    frame.loc[good, "split"] = halves


def _write(
    frame: pd.DataFrame, good: "pd.Series[bool]", scratch: Scratch, channels: int, policy: str, folder: Path
) -> None:
    halves = frame.loc[good, "split"].to_numpy(dtype=str)
    labels, names = pd.factorize(frame.loc[good, "label"], sort=True)
    classes = tuple(names) or None
    with ExitStack() as stack:
        files = {half: stack.enter_context(atomic_writer(folder / f"{half}.safetensors")) for half in HALVES}
        manifest = stack.enter_context(atomic_writer(folder / "manifest.parquet"))
        for half, file in files.items():
            chosen = halves == half
            shape = (int(chosen.sum()), channels, scratch.size, scratch.size)
            labelled = classes is not None and bool((labels[chosen] >= 0).all())
            write_header(file, shape, labels[chosen] if labelled else None, classes, policy)
        for start, block in scratch.blocks(channels):
            for half, file in files.items():
                chosen = halves[start : start + len(block)] == half
                file.write((block if chosen.all() else block[chosen]).data)
        write_manifest(frame, manifest)
