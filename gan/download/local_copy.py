"""A user's own file or folder, copied as it is; links to regular files are followed, wherever they point."""

import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gan.data.clutter import clutter_of
from gan.data.file_names import printable
from gan.errors import UserError

Skipped = dict[str, str]  # relative path: why it was not taken


@dataclass
class Copied:
    """What was left out of a folder, and why; other programs' files, counted; links that were followed."""

    skipped: Skipped = field(default_factory=dict)
    clutter: Counter[str] = field(default_factory=Counter)
    links: int = 0


def copy_tree(source: Path, target: Path, *, follow: bool = True) -> Copied:
    """Copy the regular files under ``source`` into ``target``; say what was left out, and why.

    Hidden files and other programs' clutter are left out and counted. A link to a file is copied as that
    file. A link to a folder elsewhere is entered; one within the source, or to what holds it, is left out.
    Raises UserError for a link that points out of the folder unless they are to be followed.
    """
    root = source.resolve()
    copied = Copied()
    for path in _walk(source, root, copied, follow):
        name = printable(str(path.relative_to(source)))
        reason = _reason_to_skip(path, root, follow)
        if reason is None:
            try:
                copy_file(path, target / name)
                copied.links += path.is_symlink()
            except PermissionError as error:
                if error.filename != str(path):
                    raise
                reason = "unreadable"
        if reason:
            copied.skipped[name] = reason
    return copied


def copy_file(source: Path, target: Path) -> None:
    """Copy one file's bytes, making the folders above ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as file, open(target, "wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)  # a full disk is named after `target`, by the caller


def _walk(
    folder: Path, root: Path, copied: Copied, follow: bool, above: tuple[Path, ...] = ()
) -> Iterator[Path]:
    """Yield what is not a folder, sorted; a linked folder that is not entered is yielded too."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: {error.strerror}; make the folder readable or leave it out")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        for name in [name for name in folders if clutter_of(name)]:
            copied.clutter[clutter_of(name) or ""] += sum(
                len(inside) for _, _, inside in os.walk(Path(parent, name))
            )
        copied.clutter.update(kind for name in files if (kind := clutter_of(name)))
        folders[:] = sorted(name for name in folders if not clutter_of(name))
        linked = {name for name in folders if Path(parent, name).is_symlink()}
        for name in sorted([name for name in files if not clutter_of(name)] + list(linked)):
            path = Path(parent, name)
            if name in linked and follow and _leads_elsewhere(path, root, above):
                yield from _walk(path, root, copied, follow, (*above, path.resolve()))
            else:
                yield path


def _leads_elsewhere(link: Path, root: Path, above: tuple[Path, ...]) -> bool:
    """Say whether a linked folder can be entered: not part of the source, nor of what leads to it."""
    goal = link.resolve()
    entered = (root, *above)
    return not any(goal.is_relative_to(each) or each.is_relative_to(goal) for each in entered)


def _reason_to_skip(path: Path, root: Path, follow: bool) -> str | None:
    """Say why a path is not copied, or None. ``root`` is the resolved folder it is in."""
    if path.is_symlink():
        try:
            goal = path.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a loop, up to Python 3.12
            return "a broken link"
        if not follow and not goal.is_relative_to(root):
            raise UserError(
                f"{path}: a link out of the folder; set data.links: follow, or copy what it points to there"
            )
        if goal.is_dir():
            return "a link to a folder"
    return None if stat.S_ISREG(path.stat().st_mode) else "not a regular file"
