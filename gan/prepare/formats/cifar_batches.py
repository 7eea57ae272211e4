"""CIFAR's batches as they are published: pickles of arrays, of which nothing else can be loaded."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gan.errors import UserError
from gan.prepare.decoding.decode import Item
from gan.prepare.packed_datasets import unpickled


def cifar_batch_items(contents: Mapping[str, bytes]) -> Iterator[Item]:
    """Yield the images of CIFAR-10's or CIFAR-100's batches, by their published names."""
    read = {name: unpickled(contents[name], name) for name in sorted(contents)}
    names = [str(each) for batch in read.values() for key in _NAMES for each in batch.get(key, ())]
    for name, batch in read.items():
        if "data" not in batch:
            continue
        labels: Any = batch.get("labels", batch.get("fine_labels", []))
        images = np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        if len(labels) != len(images):
            raise UserError(f"{name}: {len(images)} images but {len(labels)} labels; download it again")
        half = "test" if name.rpartition("/")[2].startswith("test") else "train"
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            text = names[label] if label < len(names) else str(label)
            yield Item(f"{name}#{number:05d}", np.ascontiguousarray(image), None, half, text)


_NAMES = ("label_names", "fine_label_names")
