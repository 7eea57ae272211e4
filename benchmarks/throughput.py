"""Time the training engine, a textbook step and any peer scripts, in turns.

    python -m benchmarks.throughput --image-size 64 --base-channels 64 --batch 64 --out DIR

Each contestant is a process of its own, so that thread pools, allocators and cudnn settings do not
mix, and lives for the whole run. They take turns, one chunk of steps each a round, so that
whatever else the machine does hits all alike. benchmarks/README.md explains options and columns.
"""

import argparse
import re
import shlex
import sys
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks import figures, machine, options, pictures
from benchmarks.children import Peer, Worker
from benchmarks.contestants import WITHOUT, Job
from gan import devices, stage
from gan.errors import UserError

TEXTBOOK = "textbook step"
NAMED = re.compile(r"([^\s=]+)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Field:
    """All that runs: contestants in the order of a round, their precision and FLOPs a step, the peaks."""

    contestants: dict[str, Worker | Peer]
    precision: dict[str, str]
    flops: dict[str, float]
    peaks: dict[str, Worker]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    made = options.parser("Time the training engine, a textbook step and peer scripts, in turns.")
    made.add_argument("--precision", nargs="+", choices=("auto", "fp32", "bf16"), default=["auto"])
    made.add_argument("--ablate", action="store_true", help="also the engine with one choice off at a time")
    made.add_argument("--images", type=Path, help="folder of images, any depth; default: random noise")
    made.add_argument("--limit", type=options.count, default=4096, help="at most so many of them")
    made.add_argument("--peer", action="append", default=[], metavar="[NAME=]COMMAND")
    made.add_argument("--peer-step", default=r"\[\d+/\d+\]\[\d+/\d+\]", metavar="REGEX")
    made.add_argument("--prefetched", type=options.count, default=8, help="steps dropped after a pause")
    made.add_argument("--patience", type=options.seconds, default=120.0, help="seconds for a peer's step")
    made.add_argument("--rounds", type=options.count, default=5)
    made.add_argument("--out", type=Path, required=True, help="folder for throughput.csv and .svg")
    parsed = made.parse_args(arguments)
    try:
        parsed.peer_step = re.compile(parsed.peer_step)
    except re.error as error:
        raise UserError(f"--peer-step: {parsed.peer_step}: {error}") from None
    return parsed


def main(arguments: list[str]) -> None:
    """Run all rounds, then print the table and write the files."""
    args = parse(arguments)
    args.device = _device(args.device)
    args.precision = _precisions(args.precision, args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="throughput-") as scratch, ExitStack() as stack:
        field = _start(args, Path(scratch), stack)
        rounds = pd.DataFrame([row for number in range(args.rounds) for row in _round(args, field, number)])
    summary = figures.summarise(rounds, field.flops)
    bases = [TEXTBOOK, *(name for name, child in field.contestants.items() if isinstance(child, Peer))]
    print(title := _title(args))
    print(figures.table(summary, bases))
    rounds.to_csv(args.out / "rounds.csv", index=False, lineterminator="\n")
    summary.to_csv(args.out / "throughput.csv", index=False, lineterminator="\n")
    if not figures.chart(summary, args.out / "throughput.svg", title):
        print("no matplotlib: no throughput.svg", file=sys.stderr)


def _device(wanted: str) -> str:
    """Resolve ``auto``. Not ``devices.prepare``: what that sets in the environment, peers would inherit."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError("--device cuda: this machine has no CUDA device; use auto or cpu")
    return ("cuda" if there else "cpu") if wanted == "auto" else wanted


def _precisions(wanted: list[str], device: str) -> list[str]:
    """Resolve ``auto`` and drop what is twice."""
    try:
        dtypes = [devices.precision(word, device) for word in wanted]
    except UserError as error:
        raise UserError(str(error).replace("params.yaml: train.", "--")) from None
    return ["bf16" if dtype == torch.bfloat16 else "fp32" for dtype in dict.fromkeys(dtypes)]


def _round(args: argparse.Namespace, field: Field, number: int) -> list[dict[str, object]]:
    """Let each contestant do a chunk, then measure the machine's peak."""
    rows = []
    for name, child in field.contestants.items():
        drop = max(args.warmup, args.prefetched) if isinstance(child, Peer) else args.warmup
        rows.append(figures.row(number, name, child.chunk(drop, args.steps), args.batch, args.device))
    peaks = {word: 1 / child.chunk(0, 1)[0] for word, child in field.peaks.items()}
    for row in rows:
        row["peak_flops"] = peaks[field.precision[str(row["name"])]]
    speeds = "  ".join(f"{row['name']} {row['images_per_second']:.0f}" for row in rows)
    print(f"round {number + 1}/{args.rounds}, images/s: {speeds}", file=sys.stderr)
    return rows


def _start(args: argparse.Namespace, scratch: Path, stack: ExitStack) -> Field:
    """Start everything, one after another, peers first: they are the likeliest to fail."""
    peers = _peers(args, _images(args, scratch), scratch)
    jobs = _jobs(args, scratch)
    precision = {job.name: job.precision for job in jobs} | dict.fromkeys(peers, "fp32")
    held: dict[str, Worker | Peer] = {}
    for name, (command, log) in peers.items():
        peer = Peer(name, command, args.threads, log, args.peer_step, args.patience)
        held[name] = stack.enter_context(closing(peer))
        peer.begin()
    workers: dict[str, Worker] = {}
    peaks: dict[str, Worker] = {}
    flops: dict[str, float] = {}
    for job in jobs:
        worker = Worker(job, scratch / f"worker-{len(workers)}.log")
        workers[job.name] = stack.enter_context(closing(worker))
        flops[job.name] = workers[job.name].begin()
    flops |= dict.fromkeys(peers, flops[TEXTBOOK])  # the same network, trained in the usual way
    for word in dict.fromkeys(precision.values()):
        job = replace(jobs[0], name=f"peak {word}", kind="peak", precision=word)
        peaks[word] = stack.enter_context(closing(Worker(job, scratch / f"{job.name}.log")))
        peaks[word].begin()
    return Field({**workers, **held}, precision, flops, peaks)


def _peers(args: argparse.Namespace, folder: Path, scratch: Path) -> dict[str, tuple[list[str], Path]]:
    """Return each peer's command, its placeholders filled, and where its stderr goes, by name."""
    peers = {}
    for index, text in enumerate(args.peer):
        named = NAMED.fullmatch(text)
        try:
            arguments = shlex.split(named[2] if named else text)
        except ValueError as error:
            raise UserError(f"--peer: {text}: {error}") from None
        if not arguments:
            raise UserError("--peer: an empty command")
        script = next((word for word in arguments if word.endswith(".py")), arguments[0])
        name = named[1] if named else Path(script).name
        if name in peers or name == TEXTBOOK:
            raise UserError(f"--peer: two contestants are called {name}; give one as NAME=COMMAND")
        peer_folder = scratch / f"peer-{index}"
        peer_folder.mkdir()
        filled = [
            word.replace("{images}", str(folder)).replace("{scratch}", str(peer_folder)) for word in arguments
        ]
        peers[name] = filled, peer_folder.with_suffix(".log")
    return peers


def _images(args: argparse.Namespace, scratch: Path) -> Path:
    """Write the images that workers read; return the folder that peers read."""
    if args.images:
        images, folder = pictures.load(args.images, args.image_size, args.limit), Path(args.images).resolve()
    else:
        whole = max(args.limit // args.batch, 1) * args.batch  # no smaller last batch at a peer
        images, folder = pictures.noise(args.image_size, whole), scratch / "images"
        if any("{images}" in text for text in args.peer):
            pictures.write(images, folder)
    if len(images) < args.batch:
        raise UserError(f"--batch {args.batch}: larger than the set, {len(images)} images; lower it")
    np.save(_array(scratch), images)
    return folder


def _array(scratch: Path) -> Path:
    return scratch / "images.npy"


def _jobs(args: argparse.Namespace, scratch: Path) -> list[Job]:
    """Return our contestants: the engine in each precision, and ablated, and the textbook."""
    first = Job(
        name=f"engine {args.precision[0]}",
        kind="engine",
        device=args.device,
        precision=args.precision[0],
        threads=args.threads,
        image_size=args.image_size,
        base_channels=args.base_channels,
        batch=args.batch,
        images=str(_array(scratch)),
        folder=str(scratch / "training"),
        cuda_graphs=args.cuda_graphs,
        compile=args.compile,
    )
    others = [replace(first, name=f"engine {word}", precision=word) for word in args.precision[1:]]
    textbook = replace(first, name=TEXTBOOK, kind="textbook", precision="fp32")
    return [first, *others, *(_ablations(first) if args.ablate else []), textbook]


def _ablations(job: Job) -> list[Job]:
    """Return ``job`` with one choice changed at a time."""
    if job.device == "cpu":
        return [replace(job, name=f"{job.name}, no {choice}", without=choice) for choice in WITHOUT]
    turned = {
        "auto": ("false", "compile off"),
        "true": ("false", "compile off"),
        "false": ("true", "compile on"),
    }
    compiled, label = turned[job.compile]
    jobs = [replace(job, name=f"{job.name}, {label}", compile=compiled)]
    if job.cuda_graphs != "false":
        jobs.append(replace(job, name=f"{job.name}, no graphs", cuda_graphs="false"))
    return jobs


def _title(args: argparse.Namespace) -> str:
    size = args.image_size
    return (
        f"{machine.describe(args.device)}, {args.threads} threads, torch {torch.__version__}; "
        f"dcgan {size}x{size}, "
        f"{args.base_channels} base channels, batch {args.batch}; {args.rounds} rounds x {args.steps} steps"
    )


if __name__ == "__main__":
    stage.run("throughput", lambda: main(sys.argv[1:]), lock=False, stage=False)
