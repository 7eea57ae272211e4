"""The decision of a source's layout: each image's half and label, what is set aside, and why."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Literal

from gan.data.folder_names import TEST, TRAIN, UNLABELED, VAL, Half
from gan.data.lookalikes import quoted, twins
from gan.errors import UserError
from gan.params.fields import LayoutPatterns
from gan.prepare.layout.folder_layout import FolderLayout, read_folders
from gan.prepare.layout.label_tables import LabelFiles, Named, read_label_files

Layout = Literal["auto", "flat", "classes"] | LayoutPatterns
STRAY = 0.2  # of the images: so many at most may lie outside; more is asked for
_SHOWN = 8  # classes that are named
_HOW = (
    "set data.layout: flat, classes, or patterns such as {train: 'a/*', test: 'b/*', label: '([^/]+)/[^/]+$'}"
)


@dataclass
class Decision:
    """Of each image: its half (None throughout where the source has none) and label, or why it is aside.

    ``notes``: the account of how that was decided, in lines.
    """

    halves: list[str | None]
    labels: list[str | None]
    aside: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def decide(
    paths: Sequence[str],
    given: Sequence[tuple[str | None, str | None]],
    files: LabelFiles,
    layout: Layout,
) -> Decision:
    """Decide on the images ``paths``; ``given``: half and label as a packed set's own arrays say.

    Raises UserError, with what to set, when it cannot be decided.
    """
    if any(half or label for half, label in given):
        folder_layout = FolderLayout([_given_half(half) for half, _ in given], [label for _, label in given])
        for index, half in enumerate(folder_layout.halves):
            if half:
                name = paths[index].rpartition("#")[0] or paths[index]
                folder_layout.origins.setdefault(half, Counter())[name] += 1
        return _resolved(paths, folder_layout, "the set's own arrays")
    if isinstance(layout, LayoutPatterns):
        return _resolved(paths, _by_patterns(paths, layout), "data.layout")
    if layout == "flat":
        flat = FolderLayout([None] * len(paths), [None] * len(paths))
        return _resolved(paths, flat, "data.layout")
    if layout == "classes":
        return _resolved(paths, _by_first_folder(paths), "the first folders, as data.layout says")
    folder_layout = read_folders(paths)
    named = read_label_files(files, paths, folder_layout.halves)
    where = _apply_files(folder_layout, named, len(paths))
    _check_strays(paths, folder_layout)
    decision = _resolved(paths, folder_layout, where)
    decision.notes += named.notes
    return decision


def _given_half(half: str | None) -> Half | None:
    return next((known for known in (TRAIN, TEST, VAL, UNLABELED) if known == half), None)


def _apply_files(folder_layout: FolderLayout, named: Named, count: int) -> str:
    """Let label files overrule folders where they speak of nearly all; return where labels are from."""
    if len(named.halves) >= (1 - STRAY) * count:
        folder_layout.halves = [named.halves.get(index) for index in range(count)]
        folder_layout.outside = {
            index: f"no half in {named.files[0]}" for index in range(count) if index not in named.halves
        }
        folder_layout.origins = {}
        for half in named.halves.values():
            folder_layout.origins.setdefault(half, Counter())[named.files[0]] += 1
    indices = [index for index in range(count) if index not in folder_layout.outside]
    train = [index for index in indices if folder_layout.halves[index] in (None, TRAIN)] or indices
    labelled = sum(index in named.labels for index in train)
    if train and labelled >= (1 - STRAY) * len(train) and len(set(named.labels.values())) > 1:
        folder_layout.labels = [named.labels.get(index) for index in range(count)]
        folder_layout.unlabelled = [index for index in indices if index not in named.labels]
        return ", ".join(named.files[:3])
    if labelled:
        named.notes.append(
            f"{named.files[0]} was not used: it names {labelled} of {len(train)} training images"
        )
    return "folders"


def _check_strays(paths: Sequence[str], folder_layout: FolderLayout) -> None:
    """Raise UserError when more than a few images lie outside what was read as halves or labels."""
    beside = [index for index, why in folder_layout.outside.items() if why.startswith("outside")]
    if len(beside) > STRAY * len(paths):
        raise UserError(
            f"data.layout: {len(beside)} of {len(paths)} images, such as {paths[beside[0]]!r}, lie outside "
            f"{_origins(folder_layout)}; {_HOW}"
        )
    halves = {
        folder_layout.halves[index] for index in range(len(paths)) if index not in folder_layout.outside
    }
    first = TRAIN if TRAIN in halves else None
    inside = [
        index
        for index in range(len(paths))
        if index not in folder_layout.outside and (first is None or folder_layout.halves[index] == first)
    ]
    lost = [
        index for index in folder_layout.unlabelled if first is None or folder_layout.halves[index] == first
    ]
    if len(lost) > STRAY * len(inside):
        raise UserError(
            f"data.layout: {len(lost)} of {len(inside)} images, such as {paths[lost[0]]!r}, lie outside the "
            f"folders that look like labels ({_names(folder_layout.labels)}); {_HOW}"
        )


def _resolved(paths: Sequence[str], folder_layout: FolderLayout, where: str) -> Decision:
    """Bring four kinds of halves to train and test, set the rest aside, and give the account."""
    aside = dict(folder_layout.outside)
    kinds = Counter(half for index, half in enumerate(folder_layout.halves) if half and index not in aside)
    halves: list[str | None] = list(folder_layout.halves)
    becomes: dict[Half, str | None] = {TRAIN: TRAIN, TEST: TEST}
    becomes[VAL] = None if kinds[TEST] else TEST
    becomes[UNLABELED] = None if kinds[TRAIN] else TRAIN
    why = {
        VAL: "the validation part: neither trained nor tested on",
        UNLABELED: "the unlabelled part: not trained on",
    }
    for index, half in enumerate(folder_layout.halves):
        if half and index not in aside:
            halves[index] = becomes[half]
            if becomes[half] is None:
                aside[index] = why[half]
    labels = list(folder_layout.labels)
    retained = [index for index in range(len(paths)) if index not in aside]
    train = [index for index in retained if halves[index] in (None, TRAIN)]
    if train and not any(labels[index] is not None for index in train):  # those of the test half alone
        labels = [None] * len(paths)
    labelled = {halves[index] for index in retained if labels[index] is not None}
    for index in retained:
        if labels[index] is None and halves[index] in labelled:
            aside[index] = "no label"
    retained = [index for index in retained if index not in aside]
    for index in aside:
        halves[index] = None
    return Decision(halves, labels, aside, _account(folder_layout, halves, labels, retained, kinds, where))


def _account(
    folder_layout: FolderLayout,
    halves: Sequence[str | None],
    labels: Sequence[str | None],
    retained: Sequence[int],
    kinds: Mapping[Half, int],
    where: str,
) -> list[str]:
    counts = Counter(halves[index] for index in retained)
    if counts[TRAIN] and counts[TEST]:
        counted = []
        for half in (TRAIN, TEST):
            sources = (half, VAL) if half == TEST and not kinds.get(TEST, 0) else (half,)
            if half == TRAIN and not kinds.get(TRAIN, 0):
                sources = (UNLABELED,)
            counted.append(f"{counts[half]} {half} from {_origins(folder_layout, sources)}")
        notes = [f"halves: {', '.join(counted)}"]
    else:
        only = next((half for half in (TRAIN, TEST) if counts[half]), None)
        of = f"only {only} ({_origins(folder_layout)}), so " if only else "none in the source, "
        notes = [f"halves: {of}held out by content"]
    names = sorted({label for index in retained if (label := labels[index]) is not None})
    if not names:
        return [*notes, "labels: none"]
    line = f"labels: {len(names)} classes from {where}: {_names(labels[index] for index in retained)}"
    bare = [half for half in (TRAIN, TEST) if counts[half] and not _any(labels, halves, half, retained)]
    alike = [f"labels that print alike: {' and '.join(group)}" for group in twins(names)]
    return [*notes, line + (f"; none in {bare[0]}" if bare else ""), *alike]


def _any(
    labels: Sequence[str | None], halves: Sequence[str | None], half: str, retained: Sequence[int]
) -> bool:
    return any(labels[index] is not None for index in retained if halves[index] == half)


def _names(labels: Iterable[str | None]) -> str:
    names = sorted({label for label in labels if label is not None})
    return ", ".join(quoted(names[:_SHOWN], names)) + (" …" if len(names) > _SHOWN else "")


def _origins(folder_layout: FolderLayout, halves: Sequence[str] = (TRAIN, TEST, VAL, UNLABELED)) -> str:
    names = sorted({name for half in halves for name in folder_layout.origins.get(half, ())})
    listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    return listed or "data.layout"


def _by_first_folder(paths: Sequence[str]) -> FolderLayout:
    """Take the first folder that not all share as the label, whatever it is called."""
    folders = [tuple(unicodedata.normalize("NFC", path).split("/")[:-1]) for path in paths]
    while (first := {segments[:1] for segments in folders}) and len(first) == 1 and first != {()}:
        folders = [segments[1:] for segments in folders]
    labels = [segments[0] if segments else None for segments in folders]
    if not any(labels):
        raise UserError("data.layout: classes, but the images lie in no folders of theirs; set auto or flat")
    return FolderLayout([None] * len(paths), list(labels))


def _by_patterns(paths: Sequence[str], layout: LayoutPatterns) -> FolderLayout:
    """Take halves and labels as the user's patterns say. Raises UserError where a pattern fits nothing."""
    folder_layout = FolderLayout([None] * len(paths), [None] * len(paths))
    patterns: dict[Half, str] = {
        half: pattern for half, pattern in ((TEST, layout.test), (TRAIN, layout.train)) if pattern is not None
    }
    paths = [unicodedata.normalize("NFC", path) for path in paths]
    matches = {
        half: re.compile(translate(unicodedata.normalize("NFC", pattern))).match
        for half, pattern in patterns.items()
    }
    for half, pattern in patterns.items():
        if not any(matches[half](path) for path in paths):
            raise UserError(
                f"data.layout.{half}: {pattern!r} fits no image, such as {paths[0]!r}; correct it "
                "(* stands for anything, / too)"
            )
    label = None if layout.label is None else re.compile(unicodedata.normalize("NFC", layout.label))
    for index, path in enumerate(paths):
        fitting = [half for half, match in matches.items() if match(path)]
        if fitting:
            half = folder_layout.halves[index] = fitting[0]
            folder_layout.origins.setdefault(half, Counter())[patterns[half]] += 1
        elif matches:
            folder_layout.outside[index] = "fits no pattern of data.layout"
        if label and (label_match := label.search(path)):
            text = next((group for group in label_match.groups() if group), label_match[0])
            folder_layout.labels[index] = unicodedata.normalize("NFC", text)
    if label and not any(folder_layout.labels):
        raise UserError(
            f"data.layout.label: {layout.label!r} fits no image, such as {paths[0]!r}; correct it"
        )
    return folder_layout
