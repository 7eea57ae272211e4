"""What the folders of a source mean: published halves, then classes, or nothing.

1. Folders that hold everything (``cifar10-images/``) mean nothing and are dropped.
2. When every image then lies under a folder named as a half (train, test, val and the like,
   capitals or not), these are the published halves. A validation half is the test half where
   there is no test folder, and joins train where there is one.
3. When every image then lies in a folder and there are at least two, the first folder is the label.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HALVES = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}


@dataclass(frozen=True)
class Layout:
    """For each image its half (``train``, ``test``) and label, or None throughout."""

    splits: list[str] | None
    labels: list[str] | None
    note: str | None  # what was found and not used, for the user


def read_layout(paths: Sequence[str]) -> Layout:
    """Read halves and labels from the images' relative paths ("/"-separated)."""
    folders = [tuple(path.split("/")[:-1]) for path in paths]
    folders = _without_common(folders)
    splits = _halves([parts[0].lower() if parts else "" for parts in folders])
    if splits:
        folders = _without_common([parts[1:] for parts in folders])
    first = [parts[0] if parts else "" for parts in folders]
    classes = set(first) - {""}
    if len(classes) < 2:
        return Layout(splits, None, None)
    if "" in first:
        note = f"no labels: {first.count('')} of {len(first)} images lie outside the {len(classes)} folders"
        return Layout(splits, None, note)
    return Layout(splits, first, None)


def _without_common(folders: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Drop the leading folders that all share, but keep one that names a half."""
    while folders and all(parts[:1] == folders[0][:1] != () for parts in folders):
        if folders[0][0].lower() in HALVES:
            break
        folders = [parts[1:] for parts in folders]
    return folders


def _halves(first: list[str]) -> list[str] | None:
    halves = [HALVES.get(name) for name in first]
    val = "train" if "test" in halves else "test"
    named = [val if half == "val" else half for half in halves if half]
    return named if named and len(named) == len(first) else None
