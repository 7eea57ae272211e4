"""Stage train: the alternating training of generator and discriminator, resumable at any step."""

import hashlib
import json
import platform
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gan import devices, files, paths
from gan import params as parameters
from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.networks import efficientnet_lite, footprint
from gan.networks.footprint import refuse_what_cannot_fit
from gan.networks.model_file import save
from gan.networks.model_record import record
from gan.params import FREE, Network, Params, Train
from gan.runtime import interrupted, live_record, machine
from gan.runtime.energy import USED
from gan.runtime.forecast import Forecast
from gan.stage import Progress, run, say
from gan.training import distributed
from gan.training.feed import Data
from gan.training.initial_weights import by_class, check, origin
from gan.training.loop import COLUMNS, Loop
from gan.training.precision_trial import bf16_speed

FEW_STEPS = 500  # with fewer, samples of MNIST and of the digits still have visible faults (docs/quality.md)
RATES = 1e-6, 1e-2  # of Adam
FEW_IMAGES = 2000  # fewer are what recipes/few.yaml is for; measured with 100 and 400 (docs/quality.md)


def main() -> None:
    """Train, in as many processes as asked for."""
    params = parameters.load()
    if params.train.devices > 1 and not distributed.launched():
        distributed.launch("gan.stages.train", params.train.devices)
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
        if isinstance(reason, KeyboardInterrupt):
            interrupted.leave()
        sys.exit(1)


def work(params: Params) -> None:
    """Train as one process, then put snapshots, final weights, grids and the log in place."""
    device = devices.prepare(params.train.device, params.train.threads, params.train.precision)
    precision = devices.precision(params.train.precision, device)
    world = distributed.join(device)
    arrays, accelerator = read_arrays(paths.TRAIN_SET), devices.accelerator(device)
    kind = str(precision).removeprefix("torch.")
    peculiar = machine.peculiar(accelerator, kind, {"unpinned": arrays.unpinned})
    data, facts = Data.of(arrays), record(params.data.of_images, peculiar)
    if params.network.architecture == "projected":
        facts["discriminator_features_sha256"] = efficientnet_lite.SHA256
    name = f"train-{fingerprint(params, device, precision, facts)}"
    folder = files.RUNS / name
    check(params.network, params.train, data, world)
    least = partial(of_step, params.network, data, precision, world.size)
    refuse_what_cannot_fit("train.batch_size", params.train.batch_size, least, devices.free_bytes(device))
    loop = Loop(
        params.network, params.train, data, folder, device, precision=precision, world=world, record=facts
    )
    shape = "×".join(map(str, data.images.shape[1:]))
    if world.writer:
        of = f", {world.size} processes" if world.size > 1 else ""
        what = f"{len(data.images)} images {shape} on {device} in {kind}{of}"
        say("train", f"{what}, {loop.total} steps of {loop.per_step}")
        for caution in cautions(params.train, len(data.images), loop.per_step, loop.total):
            say("train", caution)
        if suggestion := made_for_few(params.network, data.images.shape):
            say("train", suggestion)
    if device == "cpu" and precision == torch.bfloat16 and world.size == 1:
        warn_of_slow_bf16(loop)
    if world.writer:
        shown = {"data": params.data.of_images, "network": params.network.model_dump()}
        shown["train"] = params.train.model_dump()
        chosen = live_record.trackers(params.track.to, name, shown)
        loop.followers.each += [live_record.LiveRecord(), *chosen]
        say("train", live_record.invitation())
    forecast = Forecast("train", *devices.meters(device))
    progress = Progress("train", loop.total, "step", loop.per_step, forecast)
    speed = loop.run(progress.update if world.writer else lambda *_: None)
    if world.writer:
        export(loop, loop.log)
        machine.write(accelerator)
        describe_run(name, accelerator, world.size, speed)
        USED.note(steps=loop.total, resumed_at=loop.resumed_at)
        files.remove_folder(folder)  # whole or not at all: a part of it would be taken for a state
        say("train", f"{speed:.0f} images/s; models/final.safetensors, models/snapshots")
    distributed.leave()


def of_step(network: Network, data: Data, precision: torch.dtype, processes: int, batch: int) -> int:
    """Return the bytes that a step of ``batch`` images takes at least in each of the processes."""
    channels, size = data.images.shape[1:3]
    classes = data.classes if by_class(network, data) else 0
    return footprint.of_gan(network, size, channels, classes, batch // processes, precision.itemsize)


def cautions(train: Train, images: int, per_step: int, steps: int) -> list[str]:
    """Return a line for each param that is likely to end in noise: few steps, or an unusual learning rate."""
    lines = []
    if steps < FEW_STEPS:
        epochs = -(-FEW_STEPS // (images // per_step))
        change = [f"train.epochs to {epochs}"] if train.epochs < epochs else []
        if train.max_steps is not None and train.max_steps < FEW_STEPS:
            change.append(f"train.max_steps to {FEW_STEPS}")
        lines.append(
            f"{images} images, {train.epochs} epochs: {steps} steps are few, and samples may be noise; "
            f"raise {' and '.join(change)} or more"
        )
    for name in ("learning_rate", "learning_rate_d"):
        rate = getattr(train, name)
        if rate is not None and not RATES[0] <= rate <= RATES[1]:
            lines.append(
                f"train.{name}: {rate:g}: GANs are known to train with Adam at {RATES[0]:g} to {RATES[1]:g}"
            )
    return lines


def made_for_few(network: Network, shape: Sequence[int]) -> str | None:
    """Name the recipe for few images (N, C, H, W) where another trains them; it looks for colour photos."""
    if network.architecture == "projected" or shape[0] >= FEW_IMAGES or shape[1] != 3:
        return None
    return f"{shape[0]} images: recipes/few.yaml is made for that"


def warn_of_slow_bf16(loop: Loop) -> None:
    """Say how fast bfloat16 is here if float32 is faster."""
    ratio = bf16_speed(loop.new_trainer, *loop.feed.batch(0))
    if ratio < 1:
        say("train", f"bf16 has {ratio:.2g} times the speed of fp32 on this processor: fp32 is faster here")


def fingerprint(params: Params, device: str, precision: torch.dtype, facts: Mapping[str, Any]) -> str:
    """Name the state of this very training: same params, data, code, packages, device and precision."""
    inputs = [params.network.model_dump_json(), params.train.model_dump_json(exclude=set(FREE))]
    inputs += [device, str(precision), torch.__version__, str(origin(params.train)), json.dumps(facts)]
    sources = sorted(Path(__file__).parent.parent.rglob("*.py"))
    inputs += [files.sha256_file(path) for path in [paths.TRAIN_SET, *sources]]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]


def export(loop: Loop, log: list[list[float]]) -> None:
    """Copy the kept snapshots and grids into the outs and write the log and the final weights."""
    for source, out in (("snapshots", paths.SNAPSHOTS), ("fixed_latents", paths.FIXED_LATENTS)):
        with files.fresh_folder(out) as target:
            for path in sorted((loop.folder / source).iterdir()):
                shutil.copyfile(path, target / path.name)
    frame = pd.DataFrame(log, columns=list(COLUMNS)).astype({"step": int, "images_seen": int})
    files.write_text(paths.TRAINING, frame.to_csv(index=False, float_format="%.6g"))
    save(paths.FINAL, loop.models(), loop.config())


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
