"""A generator as ONNX, for programs without PyTorch: `python -m gan.export --model FILE --out FILE.onnx`.

Inputs: `latents` float32 (N, latent_dim) and, where the model knows classes, `labels` int64 (N,); N is free.
Output: `images` float32 (N, C, H, W) in [-1, 1]. What the model file says of itself stands in the metadata,
and the file is written only if ONNX Runtime computes what PyTorch does.
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

from gan import devices, files, seeds
from gan.command_line import Parser, path
from gan.errors import UserError
from gan.networks.build import LABEL_LENGTH, draw_latents
from gan.networks.files import Published, load_generator
from gan.provenance import xmp
from gan.provenance.needs import needs
from gan.stage import run, say

OPSET = 18
TOLERANCE = 1e-4  # of values in [-1, 1]: a hundredth of a grey level is 8e-5
BATCHES = (1, 2, 7, 64)  # the check's


class Standalone(nn.Module):
    """Latents (N, latent_dim) and labels (N,) → images: a generator that makes its inputs itself."""

    table: torch.Tensor

    def __init__(self, model: nn.Module, classes: int) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("table", LABEL_LENGTH * torch.eye(classes))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """See the class."""
        inputs = latents if labels is None else torch.cat([latents, self.table[labels]], 1)
        images: torch.Tensor = self.model(inputs)
        return images


def main() -> None:
    """Export, check, write."""
    arguments = _arguments()
    run("export", lambda: export(arguments.model, arguments.out), lock=False)


def export(source: Path, target: Path) -> None:
    """Write the model as ONNX, and say how far ONNX Runtime is from PyTorch.

    Raises UserError where they differ by more than `TOLERANCE`, or a package is missing.
    """
    generator, model = load_generator(source), files.sha256_file(source)
    devices.prepare("cpu", torch.get_num_threads())
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
    """Draw latents and, where there are classes, labels."""
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
        raise RuntimeError("torch.onnx.export gave nothing")
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
    """Take out what the exporter notes of this machine: the paths of the lines that made each node."""
    graph = proto.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def _compare(content: bytes, standalone: Standalone, generator: Published) -> float:
    """Return the largest difference of images, over batches of several sizes."""
    with needs("onnxruntime"):
        import onnxruntime
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in BATCHES:
        given = _inputs(generator, count)
        names = ["latents", "labels"][: len(given)]
        feed = {name: tensor.numpy() for name, tensor in zip(names, given, strict=True)}
        (found,) = session.run(["images"], feed)
        with torch.no_grad():
            wanted = standalone(*given).numpy()
        if found.shape != wanted.shape:
            raise UserError(f"ONNX Runtime gives {found.shape}, PyTorch {wanted.shape}")
        worst = max(worst, float(np.abs(found - wanted).max()))
    return worst


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m gan.export", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", type=path, required=True, metavar="FILE", help="a generator")
    parser.add_argument("--out", type=path, required=True, metavar="FILE", help="the ONNX file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
