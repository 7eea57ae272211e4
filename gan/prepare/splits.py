"""The choice of held-out images, by content and seed only, not by file names or order."""

import hashlib
from collections.abc import Sequence


def hold_out(
    pixels: Sequence[str],
    groups: Sequence[str],
    labels: Sequence[str | None],
    fraction: float,
    seed: int,
) -> list[str]:
    """Return "train" or "test" for each image.

    ``pixels`` are the checksums of the images' pixels, ``groups`` those of one image of each group
    that has to stay together: it goes to one half, also under different labels. Of each label's
    different images, ``fraction`` (at least one where there are two, never all) is held out: the
    groups whose checksum of seed and group comes first, but for those that are too large.
    """
    label_of: dict[str, str] = {}
    members: dict[str, set[str]] = {}
    for checksum, group, label in zip(pixels, groups, labels, strict=True):
        label_of[group] = min(label_of.get(group, label or ""), label or "")
        members.setdefault(group, set()).add(checksum)
    sizes: dict[str, dict[str, int]] = {}
    for group, label in label_of.items():
        sizes.setdefault(label, {})[group] = len(members[group])
    held = {group for of_label in sizes.values() for group in _held(of_label, fraction, seed)}
    return ["test" if group in held else "train" for group in groups]


def _held(sizes: dict[str, int], fraction: float, seed: int) -> list[str]:
    """Return the groups, of one label's, that are held out; ``sizes`` are their numbers of images."""
    if len(sizes) < 2:
        return []
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    total = sum(sizes.values())
    room = min(total - 1, max(1, round(fraction * total)))
    held = []
    for group in order:
        if sizes[group] <= room:
            held.append(group)
            room -= sizes[group]
    return held or [min(order, key=lambda group: sizes[group])]
