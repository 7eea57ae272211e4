"""What the network sees: a hundred prepared images by class, and some of each kind that was changed."""

import base64
import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from gan.data.arrays import Arrays

SHOWN = 100  # images in all
ROW = 10  # images of a row where there are no classes
SIDE = 64  # pixels of an image, at most
KINDS = 12  # kinds of change that are shown
EACH = 6  # images of a kind


def by_class(good: pd.DataFrame, halves: Mapping[str, Arrays]) -> list[dict[str, Any]]:
    """Return rows of training images: the class, how many it has, the strip as a data: address."""
    train = good[(good["split"] == "train").fillna(False)]
    names = sorted(map(str, train["label"].dropna().unique()))
    if not names:
        chosen = _spread(train, SHOWN)
        strips = [chosen[start : start + ROW] for start in range(0, len(chosen), ROW)]
        return [{"name": "", "count": 0, "address": _strip(strip, halves)} for strip in strips]
    rows = []
    for name in names[:SHOWN]:
        of_class = train[(train["label"] == name).fillna(False)]
        chosen = _spread(of_class, max(1, SHOWN // len(names)))
        rows.append({"name": name, "count": len(of_class), "address": _strip(chosen, halves)})
    return rows


def by_change(good: pd.DataFrame, halves: Mapping[str, Arrays]) -> list[dict[str, Any]]:
    """Return each kind of change that was noted: what, how many, the first images, their names."""
    noted = good[good["note"].notna()]
    if noted.empty:
        return []
    texts = noted["note"].map(lambda note: re.sub(r"(first frame of) \d+", r"\1 several", note).split(", "))
    kinds = noted.assign(note=texts).explode("note").groupby("note")
    changes = [(str(note), rows) for note, rows in kinds]
    changes.sort(key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        {
            "name": note,
            "count": len(rows),
            "address": _strip(rows.head(EACH), halves),
            "names": [str(path) for path in rows["path"].head(EACH)],
        }
        for note, rows in changes[:KINDS]
    ]


def _spread(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return so many rows, spread evenly over all."""
    positions = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    return rows.iloc[positions]


def _strip(rows: pd.DataFrame, halves: Mapping[str, Arrays]) -> str | None:
    """Return the images of rows side by side as a data: address; None where there are no pixels of theirs."""
    images = []
    for split, index in zip(rows["split"], rows["index"], strict=True):
        half = halves.get(str(split))
        if half is not None and not pd.isna(index) and 0 <= int(index) < len(half.images):
            images.append(half.images[int(index)])
    if not images:
        return None
    size = images[0].shape[-1]
    strip = np.full((3, size, len(images) * (size + 2) - 2), 255, np.uint8)
    for number, image in enumerate(images):
        strip[:, :, number * (size + 2) : number * (size + 2) + size] = image
    picture = Image.fromarray(strip.transpose(1, 2, 0))
    if size > SIDE:
        picture = picture.resize((picture.width * SIDE // size, SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
