"""Classes that are hardly any: a half, a shard, a wrapper or a copy of the set, taken for a label."""

import pandas as pd

from gan.data.folder_names import is_half, is_mask, is_serial, is_shard, is_wrapper

_COPIED = 0.9  # of a class's images: so many stand under two or more other classes, and it is a copy


def suspects(good: pd.DataFrame) -> list[str]:
    """Return the labels of accepted images, rows of a manifest, that look like anything but a class."""
    names = sorted(map(str, good["label"].dropna().unique()))
    suspicious = [
        name for name in names if is_half(name) or is_shard(name) or is_wrapper(name) or is_mask(name)
    ]
    long = [name for name in names if is_serial(name)]
    suspicious += long if len(long) == len(names) else []
    return sorted({*suspicious, *_copies(good)})


def _copies(good: pd.DataFrame) -> list[str]:
    known = good[good["pixels_sha256"].notna() & good["label"].notna()]
    twice = known[known["pixels_sha256"].duplicated(keep=False)]
    labels = twice.groupby("pixels_sha256")["label"].unique()
    copies = []
    for name in twice["label"].unique():
        shared = [set(each) - {name} for each in labels[twice.loc[twice["label"] == name, "pixels_sha256"]]]
        others = {other for each in shared for other in each}
        count = sum(bool(each) for each in shared)
        if count >= _COPIED * int((known["label"] == name).sum()) and len(others) > 1:
            copies.append(str(name))
    return copies
