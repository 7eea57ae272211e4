"""Which images are held out: by content and seed alone, whatever the files' names and order."""

import hashlib
from collections.abc import Sequence


def hold_out(pixels: Sequence[str], labels: Sequence[str | None], fraction: float, seed: int) -> list[str]:
    """Return "train" or "test" for each image.

    ``pixels`` are the checksums of the images' pixels: equal images go to the same half, also
    under different labels. Of each label's different images, ``fraction`` (at least one where there
    are two, never all) is held out: those whose checksum of seed and pixels comes first.
    """
    label_of: dict[str, str] = {}
    for checksum, label in zip(pixels, labels, strict=True):
        label_of[checksum] = min(label_of.get(checksum, label or ""), label or "")
    groups: dict[str, list[str]] = {}
    for checksum, label in label_of.items():
        groups.setdefault(label, []).append(checksum)
    held: set[str] = set()
    for group in groups.values():
        group.sort(key=lambda checksum: hashlib.sha256(f"{seed}:{checksum}".encode()).digest())
        most = len(group) - 1
        held.update(group[: min(most, max(1, round(fraction * len(group))))])
    return ["test" if checksum in held else "train" for checksum in pixels]
