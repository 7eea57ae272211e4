"""Manifests that tests make: good ones, to plant faults in."""

import numpy as np
import pandas as pd

from gan.data.manifest import COLUMNS


def manifest(count=100, labels=("cat", "dog")):
    """Every fifth image is held out; classes alternate by fives."""
    numbers = range(count)
    rows = {name: [None] * count for name in COLUMNS}
    rows["path"] = [f"{number:03d}.png" for number in numbers]
    rows["split"] = ["test" if number % 5 == 4 else "train" for number in numbers]
    rows["index"] = [number // 5 if number % 5 == 4 else number - number // 5 for number in numbers]
    if labels:
        rows["label"] = [labels[number // 5 % len(labels)] for number in numbers]
    rows["sha256"] = rows["pixels_sha256"] = [f"{number:064x}" for number in numbers]
    rows["dhash"] = [f"{number:016x}" for number in numbers]
    same = {"bytes": 99, "width": 40, "height": 32, "mode": "RGB", "format": "PNG", "status": "ok"}
    same |= {"mean": 99.5, "std": 40.25, "min": 0, "max": 255, "sharpness": 350.5, "entropy": 7.25}
    rows |= {name: [value] * count for name, value in same.items()}
    return pd.DataFrame({name: pd.array(rows[name], dtype=dtype) for name, dtype in COLUMNS.items()})


def refuse(frame, indices, reason="truncated"):
    """Make rows those of images that could not be read."""
    frame.loc[indices, ["status", "reason"]] = ["refused", reason]
    gone = ["split", "index", "pixels_sha256", "dhash", "near_group", "mean", "std", "min", "max"]
    frame.loc[indices, [*gone, "sharpness", "entropy"]] = pd.NA


def near(frame, *groups):
    """Make each group of rows near duplicates of one another."""
    for number, indices in enumerate(groups):
        frame.loc[list(indices), "near_group"] = number


def textured(count, seed, brighter=0.0, classes="abcdefghij"):
    """Return a manifest with the statistics of photos: those of smooth random pictures, about."""
    draw = np.random.default_rng(seed)
    frame = manifest(count, labels=None)
    frame["label"] = pd.array([classes[k] for k in draw.integers(0, len(classes), count)], dtype="string")
    frame["mean"] = (draw.normal(120, 32, count) + brighter).clip(0, 255)
    frame["std"] = draw.normal(53, 14, count).clip(3, 120)
    frame["sharpness"] = np.exp(draw.normal(7.5, 0.6, count))
    frame["entropy"] = draw.normal(7, 0.4, count).clip(1, 8)
    frame["width"], frame["height"] = draw.integers(200, 2000, (2, count))
    return frame.astype(COLUMNS)
