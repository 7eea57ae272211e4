"""A generator as ONNX, for programs without PyTorch: `python -m gan.export --model FILE --out FILE.onnx`.

Inputs: `latents` float32 (N, latent_dim) and, if the model knows classes, `labels` int64 (N,). N can be any
number. Output: `images` float32 (N, C, H, W) in [-1, 1]. The metadata hold the model file's configuration.
The file is written only if ONNX Runtime and PyTorch agree.
"""

import argparse
import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gan import command_options, devices, files, seeds, xmp
from gan.errors import UserError, needs
from gan.networks.build import LABEL_LENGTH, draw_latents
from gan.networks.model_file import Published, load_generator
from gan.stage import run, say

OPSET = 18
TOLERANCE = 1e-4  # of values in [-1, 1]: a hundredth of a grey level is 8e-5
BATCHES = (1, 2, 7, 64)  # the check's


class Standalone(nn.Module):
    """A generator that takes latents (N, latent_dim) and int64 labels (N,) and builds its inputs itself."""

    table: torch.Tensor

    def __init__(self, model: nn.Module, classes: int) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("table", LABEL_LENGTH * torch.eye(classes))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return images (N, C, H, W) float32 in [-1, 1]."""
        inputs = latents if labels is None else torch.cat([latents, self.table[labels]], 1)
        images: torch.Tensor = self.model(inputs)
        return images


def main(arguments: argparse.Namespace | None = None) -> None:
    """Export, check, write."""
    asked = arguments or command_options.parse(command_options.export, "python -m gan.export")
    run("export", lambda: export(asked.model, asked.out), lock=False, stage=False)


def export(source: Path, target: Path) -> None:
    """Write the model as ONNX, and print the largest difference between ONNX Runtime and PyTorch.

    Raises UserError if they differ by more than `TOLERANCE`, or if a package is missing.
    """
    devices.prepare("cpu")
    generator, model = load_generator(source), files.sha256_file(source)
    standalone = Standalone(generator.model, len(generator.class_counts or ())).eval()
    content = _convert(standalone, generator, model)
    worst = _compare(content, standalone, generator)
    if not worst <= TOLERANCE:
        raise UserError(
            f"{source}: ONNX Runtime differs from PyTorch by {worst:.1e}, more than {TOLERANCE:.0e}"
        )
    files.write_bytes(target, content)
    say("export", f"{target}: differs from PyTorch by at most {worst:.1e} of values in [-1, 1]")


def _inputs(generator: Published, count: int) -> tuple[torch.Tensor, ...]:
    """Draw latents (count, latent_dim) and, if there are classes, int64 labels (count,)."""
    rng = seeds.generator(0, "export", count)
    latents = draw_latents(generator.network, count, rng)
    if generator.class_counts is None:
        return (latents,)
    return latents, torch.randint(len(generator.class_counts), (count,), generator=rng)


def _convert(standalone: Standalone, generator: Published, model: str) -> bytes:
    with needs("onnx"):
        import onnx
    with needs("onnxscript"):
        import onnxscript  # noqa: F401 - torch's exporter asks for it in many lines
    given = _inputs(generator, 2)
    names = ["latents", "labels"][: len(given)]
    batch = torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            standalone,
            given,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["images"],
            dynamic_shapes={name: {0: batch} for name in names},
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    proto = program.model_proto
    _strip(proto)
    proto.producer_name, proto.producer_version = "ganflow", str(torch.__version__).partition("+")[0]
    facts = {
        "model_sha256": model,
        "digital_source_type": xmp.GENERATED,
        "config": json.dumps(dict(generator.config), sort_keys=True),
    }
    onnx.helper.set_model_props(proto, facts)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString(deterministic=True))


def _strip(proto: Any) -> None:
    """Remove what the exporter records about this machine: the source paths of each node."""
    graph = proto.graph
    for element in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        element.doc_string = ""
        del element.metadata_props[:]


def _compare(content: bytes, standalone: Standalone, generator: Published) -> float:
    """Return the largest difference between the images of both, over batches of several sizes."""
    with needs("onnxruntime"):
        import onnxruntime
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in BATCHES:
        given = _inputs(generator, count)
        names = ["latents", "labels"][: len(given)]
        feed = {name: tensor.numpy() for name, tensor in zip(names, given, strict=True)}
        (onnx_images,) = session.run(["images"], feed)
        with torch.no_grad():
            wanted = standalone(*given).numpy()
        if onnx_images.shape != wanted.shape:
            raise UserError(f"ONNX Runtime gives {onnx_images.shape}, PyTorch {wanted.shape}")
        worst = max(worst, float(np.abs(onnx_images - wanted).max()))
    return worst


if __name__ == "__main__":
    main()
