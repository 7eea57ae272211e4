"""Tables of parquet with a column of image files, as the Hugging Face Hub has them."""

import io
import json
from collections.abc import Iterator
from typing import Any

from gan.data.folder_names import named_half
from gan.errors import UserError
from gan.prepare.decoding.decode import Item

_ROWS = 256  # read at once
_LABELS = ("label", "labels", "class", "category", "fine_label", "target", "coarse_label")
_IMAGES = ("image", "img", "jpg", "png", "picture", "image_bytes", "bytes")


def parquet_items(name: str, content: bytes) -> Iterator[Item]:
    """Yield a table's images with their labels. Raises UserError when it is damaged or has no images."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(io.BytesIO(content))
        schema = table.schema_arrow
        image = _image_column(name, schema)
        label = next((each for each in _LABELS if each in schema.names), None)
        classes = _class_names(schema, label)
        half = _half(name)
        number = 0
        for batch in table.iter_batches(_ROWS, columns=[each for each in (image, label) if each]):
            for row in batch.to_pylist():
                cell = row[image]
                data = cell.get("bytes") if isinstance(cell, dict) else cell
                text = None if label is None else _label(row[label], classes)
                reason = None if data else "no bytes in the table, only a path"
                yield Item(f"{name}#{number:06d}", data or None, reason, half, text)
                number += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{name}: damaged, or no parquet file; download it again") from error


def _image_column(name: str, schema: Any) -> str:
    import pyarrow

    def holds_bytes(kind: Any) -> bool:
        if pyarrow.types.is_struct(kind):
            return any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
        return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))

    fitting = [field.name for field in schema if holds_bytes(field.type)]
    best = next((each for each in _IMAGES if each in fitting), None) or (fitting[0] if fitting else None)
    if best is None:
        raise UserError(
            f"{name}: no column of images' bytes (it has {', '.join(schema.names[:8])}); "
            "give a table that has one"
        )
    return best


def _class_names(schema: Any, label: str | None) -> list[str] | None:
    """Return the names that the schema's metadata give the numbers of a column (ClassLabel)."""
    metadata = (schema.metadata or {}).get(b"huggingface")
    if metadata is None or label is None:
        return None
    try:
        feature = json.loads(metadata)["info"]["features"][label]
        return [str(name) for name in feature["names"]] if feature.get("_type") == "ClassLabel" else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _label(value: Any, classes: list[str] | None) -> str | None:
    if value is None or isinstance(value, list | dict):
        return None
    if classes is not None and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else None  # -1: the Hub's "no label"
    return str(value)


def _half(name: str) -> str | None:
    for segment in reversed(name.removesuffix(".parquet").replace("-of-", "-").split("/")):
        if named := named_half(segment):
            return named.half
    return None
