"""An earlier manifest, which today's is compared with."""

from dataclasses import dataclass

import pandas as pd

from gan.data.manifest import read_manifest
from gan.errors import UserError
from gan.files import sha256_file, users_path
from gan.validate.manifest_summary import accepted


@dataclass(frozen=True)
class Reference:
    """The images that an earlier manifest accepted, and which file it is."""

    frame: pd.DataFrame
    sha256: str


def read_reference(text: str) -> Reference:
    """Read the manifest that ``validate.reference`` names. Raises UserError when it is none."""
    path = users_path(text)
    try:
        frame = read_manifest(path)
    except UserError:
        if path.exists():
            raise UserError(f"validate.reference: {text}: not a manifest, nor any parquet file") from None
        raise UserError(
            f"validate.reference: {text}: no such file; "
            "`dvc get . data/prepared/manifest.parquet --rev REVISION -o FILE` gets an earlier one"
        ) from None
    if not {"path", "status", "split"} <= set(frame.columns):
        raise UserError(f"validate.reference: {text}: not a manifest; it lacks path, status or split")
    good = accepted(frame)
    if good.empty:
        raise UserError(f"validate.reference: {text}: has no image that was accepted; name another")
    return Reference(good, sha256_file(path))
