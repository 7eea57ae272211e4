"""A user's own file or folder, copied as it is."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from gan.data.names import is_clutter, printable
from gan.errors import UserError

Skipped = dict[str, str]  # relative path: why it was not taken


def copy_tree(source: Path, target: Path) -> Skipped:
    """Copy the regular files under ``source`` into ``target``; return what was left out, and why.

    Hidden files and a desktop's clutter are left out silently. A link to a file inside the folder
    is copied as that file. Raises UserError for a link that points out of the folder.
    """
    root = source.resolve()
    skipped: Skipped = {}
    for path in _walk(source):
        relative = path.relative_to(source)
        name = printable(str(relative))
        reason = _reason_to_skip(path, root)
        if reason is None:
            try:
                copy_file(path, target / name)
            except PermissionError as error:
                if error.filename != str(path):
                    raise
                reason = "unreadable"
        if reason:
            skipped[name] = reason
    return skipped


def copy_file(source: Path, target: Path) -> None:
    """Copy one file's bytes, making the folders above ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as file, open(target, "wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)  # a full disk is named after `target`, by the caller


def _walk(folder: Path) -> Iterator[Path]:
    """Yield what is not a folder, sorted, without entering linked folders."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: {error.strerror}; make the folder readable or leave it out")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not is_clutter(name))
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        yield from (Path(parent) / name for name in sorted(files + links) if not is_clutter(name))


def _reason_to_skip(path: Path, root: Path) -> str | None:
    """Say why a path is not copied, or None. ``root`` is the resolved folder it must stay in."""
    if path.is_symlink():
        try:
            goal = path.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a loop, up to Python 3.12
            return "a broken link"
        if not goal.is_relative_to(root):
            raise UserError(f"{path}: a link out of the folder; copy the file there or remove the link")
        if goal.is_dir():
            return "a link to a folder"
    return None if stat.S_ISREG(path.stat().st_mode) else "not a regular file"
