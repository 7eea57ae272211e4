"""Files and folders that other programs leave beside pictures: the one list of them.

Thumbnails, bins, indexes and caches of desktops, network storage and photo programs. They are no images
of a set, and their folders are no classes.
"""

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


def clutter_of(path: str) -> str | None:
    """Return which component of a path makes it clutter, as it is counted, or None.

    Hidden files and folders (``.thumbnails``, ``.Trash-1000``, ``._a.jpg``) are clutter too.
    """
    lower = path.lower()
    if "/." not in lower and lower[:1] != "." and not _marked(lower):
        return None
    for component in path.split("/"):
        name = component.lower()
        if name in ("", "."):
            continue
        if name in _NAMES:
            return component
        if any(map(name.startswith, _BEGINNINGS)):
            return "thumbnails and the like"
        if name.startswith("._"):
            return "._*"
        if name.startswith("."):
            return (
                component if name in (".thumbnails", ".git") or name.startswith(".trash") else "hidden files"
            )
    return None


def is_clutter(path: str) -> bool:
    """Say whether any component of a path is hidden or left by another program."""
    return clutter_of(path) is not None


def _marked(lower: str) -> bool:
    components = lower.split("/")
    return not _NAMES.keys().isdisjoint(components) or any(
        component.startswith(_STARTS) for component in components
    )


_STARTS = tuple(_BEGINNINGS)
