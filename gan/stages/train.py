"""Stage train: the alternating training of generator and discriminator, resumable at any step."""

import hashlib
import json
import platform
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gan import devices, files, machine
from gan import params as parameters
from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.networks.files import save
from gan.networks.record import record
from gan.params import Params
from gan.stage import USED, Progress, run, say
from gan.training import distributed
from gan.training.feed import Data
from gan.training.loop import COLUMNS, FREE, Loop
from gan.training.start import origin

TRAIN_SET = Path("data/prepared/train.safetensors")


def main() -> None:
    """Train, in as many processes as asked for."""
    params = parameters.load()
    if params.train.devices > 1 and not distributed.launched():
        distributed.launch("gan.stages.train", params.train.devices, params.train.threads)
        return
    if distributed.writes():
        # The process that writes holds the lock: an orphan of a killed launcher is noticed too.
        with files.run_lock("train"):
            work(params)
        return
    try:
        work(params)
    except (UserError, KeyboardInterrupt) as reason:  # the writer says it for all
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(130 if isinstance(reason, KeyboardInterrupt) else 1)


def work(params: Params) -> None:
    """Train as one process, then put snapshots, final weights, grids and the log in place."""
    device = devices.prepare(params.train.device, params.train.threads)
    precision = devices.precision(params.train.precision, device)
    world = distributed.join(device)
    data, facts = Data.of(read_arrays(TRAIN_SET)), record(prepared(params))
    name = f"train-{fingerprint(params, device, precision, facts)}"
    folder = files.RUNS / name
    loop = Loop(
        params.network, params.train, data, folder, device, precision=precision, world=world, record=facts
    )
    shape = "×".join(map(str, data.images.shape[1:]))
    if world.writer:
        kind = str(precision).removeprefix("torch.")
        of = f", {world.size} processes" if world.size > 1 else ""
        what = f"{len(data.images)} images {shape} on {device} in {kind}{of}"
        say("train", f"{what}, {loop.total} steps of {loop.per_step}")
    progress = Progress("train", loop.total, "step", loop.per_step)
    speed = loop.run(progress.update if world.writer else lambda *_: None)
    if world.writer:
        export(loop, loop.log)
        accelerator = torch.cuda.get_device_name() if device == "cuda" else None
        machine.write(accelerator)
        describe_run(name, accelerator, world.size, speed)
        USED.note(steps=loop.total, resumed_at=loop.resumed_at)
        files.remove_folder(folder)  # whole or not at all: a part of it would be taken for a state
        say("train", f"{speed:.0f} images/s; models/final.safetensors, models/snapshots")
    distributed.leave()


def prepared(params: Params) -> dict[str, Any]:
    """Return the params that made the training images what they are; limits and mirrors do not."""
    return {
        "image_size": params.data.image_size,
        "channels": params.data.channels,
        "fit": params.data.fit,
        "test_fraction": params.data.test_fraction,
        "seed": params.data.seed,
        "near_duplicates": params.data.near_duplicates,
    }


def fingerprint(params: Params, device: str, precision: torch.dtype, facts: Mapping[str, Any]) -> str:
    """Name the state of this very training: same params, data, code, packages, device and precision."""
    parts = [params.network.model_dump_json(), params.train.model_dump_json(exclude=FREE)]
    parts += [device, str(precision), torch.__version__, str(origin(params.train)), json.dumps(facts)]
    sources = sorted(Path(__file__).parent.parent.rglob("*.py"))
    parts += [files.sha256_file(path) for path in [TRAIN_SET, *sources]]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def export(loop: Loop, log: list[list[float]]) -> None:
    """Copy the kept snapshots and grids into the outs and write the log and the final weights."""
    for source, out in (("snapshots", "models/snapshots"), ("fixed_latents", "reports/fixed_latents")):
        with files.fresh_folder(Path(out)) as target:
            for path in sorted((loop.folder / source).iterdir()):
                shutil.copyfile(path, target / path.name)
    frame = pd.DataFrame(log, columns=list(COLUMNS)).astype({"step": int, "images_seen": int})
    files.write_text(Path("reports/training.csv"), frame.to_csv(index=False, float_format="%.6g"))
    save(Path("models/final.safetensors"), loop.models(), loop.config())


def describe_run(name: str, accelerator: str | None, processes: int, images_per_second: float) -> None:
    """Write what varies between identical runs to `.runs/`, where neither git nor DVC looks."""
    facts = {
        "host": platform.node(),
        **machine.describe(accelerator),
        "processes": processes,
        "images_per_second": round(images_per_second, 1),
    }
    files.write_text(files.RUNS / f"{name}.json", json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    run("train", main, lock=False)
