"""The least time of a training step on this machine, and the engine's share of it.

    python -m benchmarks.roofline --image-size 64 --base-channels 64 --batch 1024 --precision bf16

A pass that computes F FLOPs and moves B bytes takes at least max(F / P, B / W) seconds (Williams
2009, "Roofline"), P and W being the machine's own rates, measured here: of a large matrix product
in the same precision, and of a large copy. Passes follow one another, so the least time of a step
is their sum.

A convolution of stride 2 with k×k taps between images of c channels, 2h×2h pixels, and of C
channels, h×h pixels, of N images has F = 2 N h² k² c C, whichever way it goes; a dense layer is
the case h = k = 1. Its three passes cost F each: forward, the gradient of its input, the gradient
of its weights. With x, y and w the elements of input, output and weights, and b the bytes of one,
each reads two of them and writes the third once: B = b (x + y + w).

An activation alone costs nothing forward, where the convolution applies it as it writes; backward
its output is read once more, b y. Batch normalisation needs the statistics of all it normalises:
forward one read for them, then one read and one write with the activation, 3 b y; backward, its
two sums read the gradient and y, then both are read and a gradient is written, 5 b y.

A step, Goodfellow 2014's algorithm 1 with both losses in one backward pass: G forward; D forward
on real and on fake images; D backward for both, the first layer without a gradient of its input;
Adam of D; D forward on the fakes and backward to them, without gradients of weights; G backward;
Adam of G; the average. Adam reads weight, gradient and two moments and writes all but the
gradient, 7 float32 numbers a weight; the average takes 3. Losses and other vectors are left out.

The sum bounds a step only where tensors do not stay in a cache: small batches on a CPU may beat
its memory passes.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine, options, pictures
from benchmarks.contestants import DTYPES, Engine, Job, settings
from benchmarks.figures import align
from gan import devices, stage
from gan.networks.dcgan import depth_for
from gan.params import Network

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer: FLOPs of one pass; elements of its input, output and weights."""

    name: str
    flops: int
    x: int
    y: int
    w: int
    normed: bool


@dataclass(frozen=True)
class Pass:
    """So many FLOPs and so many bytes, at best."""

    name: str
    flops: int
    bytes: int


def layers(network: Network, image_size: int, channels: int, batch: int) -> tuple[list[Layer], list[Layer]]:
    """Return the layers of G and of D in forward order."""
    depth, base = depth_for(image_size, network.depth), network.base_channels
    widths = [channels, *(base << i for i in range(depth))]
    flat = widths[-1] * (image_size >> depth) ** 2
    pairs = []  # of image sizes, from the image inwards: (wide image, narrow image, taps)
    for i, (outer, inner) in enumerate(pairwise(widths)):
        wide, narrow = (image_size >> i) ** 2, (image_size >> (i + 1)) ** 2
        taps = network.kernel_size**2 * outer * inner
        pairs.append((batch * wide * outer, batch * narrow * inner, taps, 2 * batch * narrow * taps))
    latent = network.latent_dim
    g = [Layer("G dense", *_dense(batch, latent, flat), True)]
    d = []
    for i, (wide, narrow, taps, flops) in enumerate(pairs):
        g.insert(1, Layer(f"G conv {depth - i}", flops, narrow, wide, taps, i > 0))
        d.append(Layer(f"D conv {i + 1}", flops, wide, narrow, taps, i > 0))
    return g, [*d, Layer("D dense", *_dense(batch, flat, 1), False)]


def _dense(batch: int, inputs: int, outputs: int) -> tuple[int, int, int, int]:
    return 2 * batch * inputs * outputs, batch * inputs, batch * outputs, inputs * outputs


def forward(network: list[Layer], size: int, what: str) -> Iterator[Pass]:
    """Yield the passes from input to output; an element has ``size`` bytes."""
    for layer in network:
        yield Pass(f"{what}: {layer.name}", layer.flops, size * (layer.x + layer.y + layer.w))
        if layer.normed:
            yield Pass(f"{what}: {layer.name} norm", 0, size * 3 * layer.y)


def backward(network: list[Layer], size: int, what: str, *, weights: bool, inputs: bool) -> Iterator[Pass]:
    """Yield the passes from output to input: with gradients of ``weights``, of the network's ``inputs``."""
    for layer in reversed(network):
        if layer is not network[-1] or layer.name.startswith("G"):  # all but D's logit is activated
            kind = "norm" if layer.normed else "activation"
            yield Pass(f"{what}: {layer.name} {kind}", 0, size * (5 if layer.normed else 1) * layer.y)
        moved = size * (layer.x + layer.y + layer.w)
        if weights:
            yield Pass(f"{what}: {layer.name} to weights", layer.flops, moved)
        if inputs or layer is not network[0]:
            yield Pass(f"{what}: {layer.name} to input", layer.flops, moved)


def step(g: list[Layer], d: list[Layer], size: int) -> Iterator[Pass]:
    """Yield all passes of a training step."""
    images = d[0].x
    yield Pass("images to float", 0, images * (1 + size))
    yield from forward(g, size, "G forward")
    for what in ("real", "fake"):
        yield from forward(d, size, f"D forward, {what}")
    for what in ("real", "fake"):
        yield from backward(d, size, f"D backward, {what}", weights=True, inputs=False)
    yield _vectors("Adam of D", d, 7)
    yield from forward(d, size, "D forward, for G")
    yield from backward(d, size, "D backward, for G", weights=False, inputs=True)
    yield from backward(g, size, "G backward", weights=True, inputs=False)
    yield _vectors("Adam of G", g, 7)
    yield _vectors("average of G", g, 3)


def _vectors(name: str, network: list[Layer], count: int) -> Pass:
    return Pass(name, 0, FLOAT32 * count * sum(layer.w for layer in network))


def main(arguments: list[str]) -> None:
    """Measure the machine and the engine, and print all passes."""
    made = options.parser("The least time of a training step on this machine, and the engine's share.")
    made.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    args = made.parse_args(arguments)
    device = devices.prepare(args.device, args.threads, args.precision)
    dtype = devices.precision(args.precision, device)
    with tempfile.TemporaryDirectory(prefix="roofline-") as scratch:
        job = Job(
            name="engine",
            kind="engine",
            device=device,
            precision={value: name for name, value in DTYPES.items()}[dtype],
            threads=args.threads,
            image_size=args.image_size,
            base_channels=args.base_channels,
            batch=args.batch,
            images=str(Path(scratch) / "images.npy"),
            folder=scratch,
            cuda_graphs=args.cuda_graphs,
            compile=args.compile,
        )
        np.save(job.images, pictures.noise(args.image_size, 4 * args.batch))
        engine = Engine(job)
        rate, bandwidth = machine.matrix_rate(device, dtype), machine.copy_rate(device)
        measured = float(np.median(engine.chunk(args.warmup, args.steps)))
    g, d = layers(settings(job)[0], args.image_size, pictures.CHANNELS, args.batch)
    passes = list(step(g, d, dtype.itemsize))
    print(
        f"{machine.describe(device)}, {args.threads} threads, torch {torch.__version__}; "
        f"dcgan {args.image_size}x{args.image_size}, {args.base_channels} base channels, batch {args.batch}, "
        f"{job.precision}\nmatrix product {rate / 1e9:.0f} GFLOP/s, copy {bandwidth / 1e9:.1f} GB/s\n"
    )
    print(table(passes, rate, bandwidth))
    least = sum(seconds(each, rate, bandwidth) for each in passes)
    print(
        f"\nleast {least * 1e3:.3f} ms, measured {measured * 1e3:.3f} ms a step: {least / measured:.1%} "
        f"of the roofline; {args.batch / measured:.0f} images/s"
    )


def seconds(each: Pass, rate: float, bandwidth: float) -> float:
    """Return the least seconds of a pass at ``rate`` FLOP/s and ``bandwidth`` bytes/s."""
    return max(each.flops / rate, each.bytes / bandwidth)


def table(passes: list[Pass], rate: float, bandwidth: float) -> str:
    """Lay out the passes and their sum as text."""
    lines = [["pass", "GFLOP", "MB", "µs", "bound by"]]
    for each in passes:
        bound = "FLOPs" if each.flops / rate > each.bytes / bandwidth else "bytes"
        lines.append([*_cells(each, seconds(each, rate, bandwidth)), bound])
    total = Pass("sum", sum(each.flops for each in passes), sum(each.bytes for each in passes))
    lines.append([*_cells(total, sum(seconds(each, rate, bandwidth) for each in passes)), ""])
    return align(lines)


def _cells(each: Pass, least: float) -> list[str]:
    return [each.name, f"{each.flops / 1e9:.3f}", f"{each.bytes / 1e6:.2f}", f"{least * 1e6:.1f}"]


if __name__ == "__main__":
    stage.run("roofline", lambda: main(sys.argv[1:]), lock=False, stage=False)
