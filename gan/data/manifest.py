"""The manifest: a row for every image of the source, the refused ones too."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from gan.errors import UserError

# index counts within the split's array; sha256 is of the file's (or packed array's) bytes; bytes
# to format, and dhash, are of the source image; pixels_sha256 and mean to entropy of the prepared pixels.
COLUMNS = {
    "path": "string",
    "split": "string",  # train | test
    "label": "string",
    "index": "Int64",
    "sha256": "string",
    "pixels_sha256": "string",
    "dhash": "string",  # 16 hexadecimal digits: difference hash of the upright image
    "near_group": "Int64",  # number of a group of images that (nearly) repeat one another; null: alone
    "bytes": "Int64",
    "width": "Int64",
    "height": "Int64",
    "mode": "string",  # Pillow's name for the pixels' kind: L, RGB, P, RGBA, CMYK, I;16 ...
    "format": "string",
    "mean": "Float64",
    "std": "Float64",
    "min": "Int64",
    "max": "Int64",
    "sharpness": "Float64",  # variance of the Laplacian of the grey pixels
    "entropy": "Float64",  # bits of the histogram of the grey pixels, 0 to 8
    "status": "string",  # ok | refused | aside: a good image that is in neither half
    "reason": "string",  # of a refusal, or of being set aside
    "note": "string",  # what was done to it beyond resizing
}
_FLUSH_ROWS = 8192


class Rows:
    """Rows gathered into columns as they come: a few hundred bytes a row."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.frames: list[pd.DataFrame] = []

    def extend(self, rows: Mapping[str, Sequence[Any]]) -> None:
        """Append rows, given by columns of one length; a column that is not given is null."""
        count = len(rows["path"])
        for name, column in self.columns.items():
            column.extend(rows.get(name) or [None] * count)
        if len(self.columns["path"]) >= _FLUSH_ROWS:
            self._flush()

    def frame(self) -> pd.DataFrame:
        """Return all rows, in order."""
        self._flush()
        return pd.concat(self.frames, ignore_index=True)

    def _flush(self) -> None:
        arrays = {
            name: pd.array(column, dtype=COLUMNS[name])  # type: ignore[call-overload]
            for name, column in self.columns.items()
        }
        self.frames.append(pd.DataFrame(arrays))
        self.columns = {name: [] for name in COLUMNS}


def write_manifest(frame: pd.DataFrame, file: BinaryIO) -> None:
    """Write the columns of a manifest as parquet."""
    frame[list(COLUMNS)].to_parquet(file, engine="pyarrow", index=False)


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest. Raises UserError when the file is absent or not parquet."""
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage that writes it, `dvc repro`") from None
    except (ValueError, OSError) as error:  # pyarrow's ArrowInvalid is a ValueError
        raise UserError(
            f"{path}: not a whole parquet file ({error}); delete it and run `dvc repro`"
        ) from None


def count_reasons(frame: pd.DataFrame, status: str = "refused") -> dict[str, int]:
    """Return how many images have a status for each reason, most frequent first, then by name."""
    other = frame["status"].isin({"ok", "refused", "aside"} - {status}).fillna(False)
    counts = frame.loc[~other, "reason"].dropna().value_counts()
    return {
        str(reason): int(counts[reason]) for reason in sorted(counts.index, key=lambda r: (-counts[r], r))
    }
