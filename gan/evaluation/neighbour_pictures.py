"""Samples beside their nearest training images, as images and as a table."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gan import files
from gan.data import images
from gan.data.arrays import Images
from gan.evaluation.copies import Copies

ROWS = 10  # of nearest.png
MOST = 20  # of flagged.png, by features and by pixels each


def write_neighbours(
    folder: Path,
    samples: tuple[Images, torch.Tensor],
    train: tuple[Images, torch.Tensor],
    copies: Mapping[str, Copies],
    made_by: str,
) -> None:
    """Write nearest.png, neighbours.csv and, if samples are flagged, flagged.png into ``folder``.

    ``samples`` and ``train``: images uint8 (N, C, H, W), and the rows of them that were compared.
    ``copies``: by features and by pixels. ``made_by``: the SHA-256 of the samples' model, written into
    the images' metadata.
    """
    table = {"sample": samples[1].tolist()}
    for key, kind in copies.items():
        name = "pixels" if key.endswith("_pixels") else "features"
        table |= {
            f"train_{name}": train[1][kind.nearest.rows[:, 0]].tolist(),
            f"distance_{name}": kind.nearest.distances[:, 0].tolist(),
            f"ratio_{name}": kind.ratios.tolist(),
            f"flagged_{name}": kind.flagged.int().tolist(),
        }
    frame = pd.DataFrame(table).sort_values("sample", kind="stable")  # the same code on every processor
    files.write_text(folder / "neighbours.csv", frame.to_csv(index=False, float_format="%.6g"))
    first = next(iter(copies.values()))
    pictures = _rows(samples, train, first, first.ratios.argsort(stable=True)[:ROWS])
    columns = first.nearest.rows.shape[1] + 1
    write = partial(images.write_png, made_by=made_by, composite=True)  # generated and real side by side
    write(folder / "nearest.png", images.grid(np.stack(pictures), columns))
    flagged: list[np.ndarray] = []
    for kind in copies.values():
        flagged += _rows(samples, train, kind, kind.flagged.nonzero()[:, 0][:MOST])
    if flagged:
        write(folder / "flagged.png", images.grid(np.stack(flagged), columns))


def _rows(
    samples: tuple[Images, torch.Tensor],
    train: tuple[Images, torch.Tensor],
    kind: Copies,
    which: torch.Tensor,
) -> list[np.ndarray]:
    """Return images (C, H, W): each sample, then its nearest training images, the nearest first."""
    pictures: list[np.ndarray] = []
    for i in which.tolist():
        near = train[1][kind.nearest.rows[i]].numpy()
        pictures += [samples[0][samples[1][i]], *train[0][near]]
    return pictures
