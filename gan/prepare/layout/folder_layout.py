"""What folders say of each image: its half, its label, or that it belongs to neither.

1. A folder whose subfolders are halves (`folder_names.halves_beside`) gives each image below the half it
   lies in; images beside them lie outside. What is above the halves says nothing, unless it differs
   and nothing below does (``cat/train``, ``dog/train``): then it is the label.
2. Below a half, or in the whole set where there is none, wrappers are skipped: a folder that all share,
   ``images`` and its like, the half's name again, shards. The first folder then is the label,
   where the training images have two or more.
3. Folders of masks beside ``images`` are set aside.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

from gan.data.folder_names import (
    TRAIN,
    Half,
    Named,
    halves_beside,
    is_mask,
    is_serial,
    is_shard,
    is_wrapper,
)

Segments = tuple[str, ...]


@dataclass
class FolderLayout:
    """For each image its half and label, or None, and why it is in neither half (``outside``)."""

    halves: list[Half | None]
    labels: list[str | None]
    outside: dict[int, str] = field(default_factory=dict)
    origins: dict[str, Counter[str]] = field(default_factory=dict)  # half: the folders it is from
    unlabelled: list[int] = field(default_factory=list)  # images outside the folders that are labels


def read_folders(paths: Sequence[str]) -> FolderLayout:
    """Read halves and labels from the images' relative paths ("/"-separated)."""
    folders = [tuple(unicodedata.normalize("NFC", path).split("/")[:-1]) for path in paths]
    distinct = set(folders)
    masks = _masks(distinct)
    levels = _half_levels(distinct - masks)
    parts = {segments: _parts(segments, levels) for segments in distinct}
    layout = FolderLayout([None] * len(paths), [None] * len(paths))
    above: dict[int, Segments] = {}
    below: dict[int, Segments] = {}
    domains: dict[int, str] = {}
    for index, segments in enumerate(folders):
        if segments in masks:
            layout.outside[index] = "masks or labels that are pictures"
            continue
        named, origin, upper, lower = parts[segments]
        if named is None:
            if levels:
                layout.outside[index] = "outside the halves' folders"
            else:
                below[index] = segments
            continue
        layout.halves[index] = named.half
        layout.origins.setdefault(named.half, Counter())[origin] += 1
        above[index], below[index] = upper, lower
        if named.domain:
            domains[index] = named.domain
    _label(layout, paths, below, above, domains)
    return layout


def _parts(
    segments: Segments, levels: dict[Segments, dict[str, Named]]
) -> tuple[Named | None, str, Segments, Segments]:
    """Return the half that a folder lies in or None, the half's folder, and what is above it and below."""
    for depth in range(len(segments)):
        if named := levels.get(segments[:depth], {}).get(segments[depth]):
            return named, "/".join(segments[: depth + 1]) + "/", segments[:depth], segments[depth + 1 :]
    return None, "", (), segments


def _label(
    layout: FolderLayout,
    paths: Sequence[str],
    below: dict[int, Segments],
    above: dict[int, Segments],
    domains: dict[int, str],
) -> None:
    """Put down the labels: what is below the halves, else an A/B domain, else what is above."""
    rest = _without_wrappers(below, layout.halves, paths)
    sources = [
        {index: segments[0] for index, segments in rest.items() if segments},
        domains,
        {index: segments[-1] for index, segments in above.items() if segments},
    ]
    for labels in sources:
        halves = {layout.halves[index] for index in rest}
        train = [index for index in rest if layout.halves[index] == TRAIN or TRAIN not in halves]
        if len({labels[index] for index in train if index in labels}) < 2:
            continue
        for index in rest:
            layout.labels[index] = labels.get(index)
        layout.unlabelled = [index for index in rest if index not in labels]
        return


def _half_levels(folders: Set[Segments]) -> dict[Segments, dict[str, Named]]:
    """Return each folder whose subfolders are halves, with these; of nested ones the outermost."""
    subfolders = _subfolders(folders)
    levels = {parent: halves for parent, names in subfolders.items() if (halves := halves_beside(names))}
    return {
        parent: halves
        for parent, halves in levels.items()
        if not any(parent[:depth] in levels for depth in range(len(parent)))
    }


def _masks(folders: Set[Segments]) -> set[Segments]:
    """Return the folders in a folder of masks that has a folder of images beside it, and that folder."""
    subfolders = _subfolders(folders)
    masks = set()
    for segments in folders:
        for depth, name in enumerate(segments):
            others = subfolders[segments[:depth]] - {name}
            if is_mask(name) and any(is_wrapper(other) and not is_mask(other) for other in others):
                masks.add(segments)
    return masks


def _subfolders(folders: Set[Segments]) -> dict[Segments, set[str]]:
    """Return the names of the folders in each folder."""
    subfolders: dict[Segments, set[str]] = defaultdict(set)
    for segments in folders:
        for depth, name in enumerate(segments):
            subfolders[segments[:depth]].add(name)
    return subfolders


def _without_wrappers(
    below: dict[int, Segments], halves: Sequence[Half | None], paths: Sequence[str]
) -> dict[int, Segments]:
    """Drop leading folders that say nothing, until nothing more can be dropped."""
    while True:
        shortened = _dropped(below, halves, paths)
        if shortened is None:
            return below
        below = shortened


def _dropped(
    below: dict[int, Segments], halves: Sequence[Half | None], paths: Sequence[str]
) -> dict[int, Segments] | None:
    named = {index: segments for index, segments in below.items() if segments}
    if len({segments[0] for segments in named.values()}) == 1:
        return {index: segments[1:] for index, segments in below.items()}
    for half in sorted({halves[index] for index in named}, key=str):
        inside = {index: segments for index, segments in named.items() if halves[index] == half}
        names = {segments[0] for segments in inside.values()}
        silent = all(is_wrapper(name, half) or is_shard(name) for name in names)
        if silent or _continue_numbers(inside, paths):
            return {index: segments[index in inside :] for index, segments in below.items()}
    return None


def _continue_numbers(inside: dict[int, Segments], paths: Sequence[str]) -> bool:
    """Say whether folders are numbered shards: ``00000``, ``00001``, the files' numbers going on."""
    if not all(is_serial(segments[0]) for segments in inside.values()):
        return False
    ranges: dict[str, tuple[int, int]] = {}
    for index, segments in inside.items():
        numbers = re.findall(r"\d+", paths[index].rpartition("/")[2].rpartition(".")[0])
        if not numbers:
            return False
        number = int(numbers[-1])
        low, high = ranges.get(segments[0], (number, number))
        ranges[segments[0]] = min(low, number), max(high, number)
    ordered = [ranges[name] for name in sorted(ranges)]
    return all(first[1] < second[0] for first, second in pairwise(ordered))
