"""Stage prepare against bare decoding of the same files: `python -m benchmarks.decode ARCHIVE.tar.xz`.

Bare: the archive is read by Python's tarfile in one process, and simplejpeg (libjpeg-turbo) decodes
its files in as many other processes as prepare has, by chunks of the same size; nothing is kept.
Both are whole commands, their starts included; they take turns, and the ratio is that of a round.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHUNK = 256  # images sent at once, as gan.prepare.image_stream does
AHEAD = 2  # chunks under way for each process


def bare(path: Path, workers: int) -> int:
    """Decode every JPEG of an archive and drop the pixels; return their number."""
    context = multiprocessing.get_context("spawn")
    links = [context.Pipe() for _ in range(workers)]
    processes = [context.Process(target=_decode, args=(theirs,)) for _, theirs in links]
    for process in processes:
        process.start()
    ours = deque(link for link, _ in links)
    waiting = dict.fromkeys(ours, 0)
    count = 0

    def send(chunk: list[bytes]) -> None:
        link = ours[0]
        ours.rotate(-1)
        if waiting[link] == AHEAD:
            link.recv()
            waiting[link] -= 1
        link.send(chunk)
        waiting[link] += 1

    chunk: list[bytes] = []
    with tarfile.open(path, "r|*") as tar:
        for info in tar:
            if info.isreg() and (file := tar.extractfile(info)):
                chunk.append(file.read())
                count += 1
            if len(chunk) == CHUNK:
                send(chunk)
                chunk = []
    send(chunk)
    for link in ours:
        for _ in range(waiting[link]):
            link.recv()
        link.send(None)
    for process in processes:
        process.join()
    return count


def _decode(link: "Connection[Any, Any]") -> None:
    import simplejpeg

    while (chunk := link.recv()) is not None:
        for content in chunk:
            simplejpeg.decode_jpeg(content)
        link.send(len(chunk))


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return its seconds, and the processor's that it and its children took."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - started, spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)  # do that, with so many workers
    arguments = parser.parse_args()
    path = arguments.archive.resolve()
    if arguments.bare:
        print(bare(path, arguments.bare))
        return
    from benchmarks.machine import describe
    from gan.prepare.decoding.workers import worker_count

    workers = worker_count()
    durations: dict[str, list[tuple[float, float]]] = {"bare": [], "prepare": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = (ROOT / "recipes" / "cifar10.yaml").read_text(encoding="utf-8")
        text = "\n".join(
            f"  source: {path}" if line.startswith("  source:") else line for line in text.splitlines()
        )
        (folder / "params.yaml").write_text(text + "\n", encoding="utf-8")
        module = [sys.executable, "-m"]
        timed([*module, "gan.stages.download"], folder)
        commands = {
            "bare": [*module, "benchmarks.decode", str(path), "--bare", str(workers)],
            "prepare": [*module, "gan.stages.prepare"],
        }
        for _ in range(arguments.rounds):
            for what, command in commands.items():
                durations[what].append(timed(command, folder))
            shutil.rmtree(folder / "data" / "prepared")
    cores = len(os.sched_getaffinity(0))
    print(f"{workers} decoding processes, {cores} cores, {describe('cpu')}, {path.name}")
    for what, runs in durations.items():
        seconds, spent = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{what:<8} {seconds:6.2f} s  {spent:6.2f} CPU-s  (medians, n = {arguments.rounds})")
    for unit_index, unit in enumerate(("time", "processor time")):
        ratios = [
            theirs[unit_index] / ours[unit_index] for ours, theirs in zip(*durations.values(), strict=True)
        ]
        print(f"ratio of {unit}: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()
