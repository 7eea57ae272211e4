"""Files and folders that other programs leave beside pictures: the one list of them.

Thumbnails, bins, indexes and caches of desktops, network storage and photo programs. They are no images
of a set, and their folders are no classes.
"""

from functools import lru_cache

_NAMES = {  # of a file or folder, in lower case: whose it is
    "__macosx": "macOS",
    "network trash folder": "macOS",
    "temporary items": "macOS",
    "icon\r": "macOS",
    "thumbs.db": "Windows",
    "ehthumbs.db": "Windows",
    "desktop.ini": "Windows",
    "$recycle.bin": "Windows",
    "recycler": "Windows",
    "system volume information": "Windows",
    "found.000": "Windows",
    "@eadir": "Synology",
    "#recycle": "Synology",
    "#snapshot": "Synology",
    "@tmp": "Synology",
    "@sharebin": "Synology",
    "@recycle": "QNAP",
    "@recently-snapshot": "QNAP",
    "@transcode": "QNAP",
    "lost+found": "Linux",
    "picasa.ini": "Picasa",
    "originals.picasa": "Picasa",
    "__pycache__": "Python",
}
_BEGINNINGS = {  # of a name
    "synophoto_thumb": "Synology",
    "synoindex": "Synology",
    "trash-": "Linux",
    "zbthumbnail": "Zoner",
    "~$": "Office",
}
_STARTS = tuple(_BEGINNINGS)


def clutter_of(path: str) -> str | None:
    """Return which component of a path makes it clutter, as it is counted, or None.

    Hidden files and folders (``.thumbnails``, ``.Trash-1000``, ``._a.jpg``) are clutter too.
    """
    folder, _, name = path.rpartition("/")
    return _of_folder(folder) or _of_component(name)


def is_clutter(path: str) -> bool:
    """Say whether any component of a path is hidden or left by another program."""
    return clutter_of(path) is not None


@lru_cache(maxsize=4096)  # an archive has thousands of files in a folder
def _of_folder(folder: str) -> str | None:
    return next(filter(None, map(_of_component, folder.split("/"))), None)


def _of_component(component: str) -> str | None:
    name = component.lower()
    if name in _NAMES:
        return component
    if name.startswith(_STARTS):
        return "thumbnails and the like"
    if not name.startswith(".") or name == ".":
        return None
    if name.startswith("._"):
        return "._*"
    return component if name in (".thumbnails", ".git") or name.startswith(".trash") else "hidden files"
