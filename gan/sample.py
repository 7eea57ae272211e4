"""Images out of a model file, for others: `python -m gan.sample --model FILE --count N --seed S --out DIR`.

Needs the model file and nothing else: no params, no data, no network. The same model and seed give the
same images, however many are drawn and whatever the batch; only signatures differ.
"""

import argparse
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from gan import command_options, devices, files
from gan.data import images
from gan.data.arrays import write_header
from gan.evaluation.sampling import blocks, round_trip, sample_inputs
from gan.networks.build import labels_of
from gan.networks.model_file import Published, load_generator
from gan.networks.model_record import versions
from gan.provenance import keys
from gan.provenance.credentials import Stamp, available
from gan.stage import Progress, run, say

GRID = 100  # images of grid.png, at most
SIDE = 4  # rows and columns of the animation


def main(arguments: argparse.Namespace | None = None) -> None:
    """Draw, mark, write and sign what the command line asks for."""
    asked = arguments or command_options.parse(command_options.sample, "python -m gan.sample")
    run("sample", lambda: export(asked), lock=False, stage=False)


def export(arguments: argparse.Namespace) -> None:
    """Write the folder `--out`, whole or not at all. Raises UserError."""
    out = files.empty_folder(arguments.out, "--out")
    device = devices.prepare(arguments.device, arguments.threads or "auto")
    generator, model = load_generator(arguments.model), files.sha256_file(arguments.model)
    label = arguments.label
    only = None if label is None else generator.class_number(label, f"--class {label}")
    facts = {
        "model_sha256": model,
        "data_inventory_sha256": generator.config.get("data_inventory_sha256"),
        "seed": arguments.seed,
        "count": arguments.count,
        "class": None if only is None else generator.classes()[only],
        "truncation": arguments.truncation,
        "device": device,
        "packages": versions(),
        "marked": arguments.mark,
    }
    exporter = Exporter(generator, device, facts, arguments)
    inputs = sample_inputs(
        generator, arguments.count, arguments.seed, truncation=arguments.truncation, only=only
    )
    with files.fresh_folder(out) as folder:
        exporter.pictures(folder, inputs, arguments.batch)
        if arguments.frames:
            way = round_trip(generator, arguments.frames, SIDE**2, arguments.seed, only)
            exporter.animation(folder, way, "GIF" if arguments.gif else "WEBP")
        files.write_json(folder / "provenance.json", facts)
    say("sample", f"{arguments.count} images, {exporter.treated()}, in {arguments.out}")


class Exporter:
    """Draws, marks, encodes, signs and writes pictures of one model. Raises UserError for unfit keys."""

    def __init__(
        self, generator: Published, device: str, facts: dict[str, Any], arguments: argparse.Namespace
    ) -> None:
        self.generator, self.device, self.facts = generator, device, facts
        self.model: str = facts["model_sha256"]
        self.mark = self.stamp = None
        if arguments.mark:
            from gan.provenance.mark import Mark

            self.mark = Mark(keys.mark_key(arguments.mark_key))
        if not arguments.unsigned:
            available()  # before a key is made
            self.stamp = Stamp(keys.signer(arguments.key, arguments.certificate))

    def treated(self) -> str:
        """Say what is done to the pictures."""
        done = ["marked"] * (self.mark is not None) + ["signed"] * (self.stamp is not None)
        return " and ".join(done) or "neither marked nor signed"

    def drawn(self, inputs: torch.Tensor) -> Iterator[np.ndarray]:
        """Yield the images of some inputs, marked, a block of uint8 (N, C, H, W) at a time."""
        for block in blocks(self.generator.model, inputs, self.device):
            yield block.numpy() if self.mark is None else self.mark.embed(block.numpy())

    def pictures(self, folder: Path, inputs: torch.Tensor, batch: int) -> None:
        """Write images.safetensors, png/ and grid.png, with ``batch`` images in memory at a time."""
        config, names = self.generator.config, self.generator.classes()
        labels = labels_of(self.generator.network, inputs)
        shape = (len(inputs), config["channels"], config["image_size"], config["image_size"])
        progress = Progress("sample", len(inputs), "image")
        first: list[np.ndarray] = []
        (folder / "png").mkdir()
        with files.atomic_writer(folder / "images.safetensors") as arrays:
            write_header(arrays, shape, labels, names or None)
            every = itertools.chain.from_iterable(self.drawn(inputs))
            for start in range(0, len(inputs), batch):
                held = np.stack(list(itertools.islice(every, batch)))
                arrays.write(held.tobytes())
                first += list(held[: GRID - len(first)])
                for i, image in enumerate(held, start):
                    of_class = {} if labels is None else {"class": names[labels[i]]}
                    self.png(folder / "png" / f"{i:05d}.png", image, {"index": i, **of_class})
                progress.update(start + len(held))
        self.png(folder / "grid.png", images.grid(np.stack(first), math.isqrt(len(first) - 1) + 1), {})

    def png(self, path: Path, image: np.ndarray, facts: dict[str, Any]) -> None:
        """Write a uint8 image (C, H, W) as PNG; ``facts`` go into its credentials."""
        self._write(path, images.png_bytes(image, self.model), "image/png", facts)

    def animation(self, folder: Path, inputs: torch.Tensor, kind: Literal["WEBP", "GIF"]) -> None:
        """Write interpolation.webp or interpolation.gif of ``inputs``, `SIDE` ** 2 a frame."""
        frames = images.sheets(np.concatenate(list(self.drawn(inputs))), SIDE**2, SIDE)
        content = images.animation_bytes(frames, self.model, kind)
        self._write(folder / f"interpolation.{kind.lower()}", content, f"image/{kind.lower()}", {})

    def _write(self, path: Path, content: bytes, mime: str, facts: dict[str, Any]) -> None:
        if self.stamp is not None:
            content = self.stamp.sign(content, mime, path.name, {**self.facts, **facts})
        with files.naming(path):  # the folder is whole or absent, so its files need not be one by one
            path.write_bytes(content)


if __name__ == "__main__":
    main()
