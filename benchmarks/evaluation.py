"""How long the stage evaluate takes, and how much memory: `python -m benchmarks.evaluation --images 10000`.

Random blobs in ten colours stand for images, and the networks are untrained: neither changes the work.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.options import count
from gan import params as parameters
from gan.data.arrays import write_header
from gan.extractor.classifier import Extractor
from gan.networks import build
from gan.networks.model_file import save

ROOT = Path(__file__).resolve().parent.parent
CLASSES = tuple("0123456789")


def images(number: int, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return uint8 images (N, 3, H, W) and int64 labels (N,)."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(CLASSES), (number,), generator=rng)
    colours = torch.rand(len(CLASSES), 3, 1, 1, generator=torch.Generator().manual_seed(0))
    coarse = torch.rand(number, 3, 5, 5, generator=rng) + colours[labels]
    batches = (F.interpolate(batch, size, mode="bicubic").clamp(0, 2) * 127 for batch in coarse.split(1000))
    return torch.cat([batch.to(torch.uint8) for batch in batches]), labels


def build_folder(folder: Path, number: int, size: int, base_channels: int, threads: int) -> None:
    """Write all that the stage reads."""
    recipe = (ROOT / "recipes" / "cifar10.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^  threads: \d+", f"  threads: {threads}", recipe, flags=re.MULTILINE)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    network = parameters.load(folder / "params.yaml").network
    network = network.model_copy(update={"base_channels": base_channels})
    for name, seed in (("data/prepared/train", 1), ("data/prepared/test", 2), ("samples/samples", 3)):
        path = folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels, labels = images(number, size, seed)
        with open(path, "wb") as file:
            write_header(file, (number, 3, size, size), labels.numpy(), CLASSES)
            file.write(pixels.numpy().tobytes())
    counts = [number // len(CLASSES)] * len(CLASSES)
    config = {"network": network.model_dump(), "image_size": size, "channels": 3, "class_counts": counts}
    config["images_seen"] = 0
    generator = build.build_generator(network, size, 3, len(CLASSES))
    discriminator = build.build_discriminator(network, size, 3, len(CLASSES))
    build.initialise(generator, 0, "generator")
    build.initialise(discriminator, 0, "discriminator")
    if network.spectral_norm:
        build.normalise_spectrally(discriminator, 0)
    save(folder / "models/generator.safetensors", generator.state_dict(), config)
    weights = {f"discriminator.{name}": tensor for name, tensor in discriminator.state_dict().items()}
    save(folder / "models/final.safetensors", weights, config)
    torch.manual_seed(0)
    extractor = Extractor(3, len(CLASSES), 127.0, 60.0)
    about = {"task": "labels", "classes": list(CLASSES), "channels": 3}
    save(folder / "models/extractor.safetensors", extractor.state_dict(), about)


def main() -> None:
    """Run the stage once in a folder of its own, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=count, default=10_000, help="of each set")
    parser.add_argument("--size", type=int, choices=(32, 64, 128), default=32)
    parser.add_argument("--base-channels", type=count, default=64)
    parser.add_argument("--threads", type=count, default=2, help="train.threads")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_folder(folder, arguments.images, arguments.size, arguments.base_channels, arguments.threads)
        started = time.monotonic()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "gan.stages.evaluate"]
        subprocess.run(command, cwd=folder, env=environment, check=True)
        seconds, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        figures = json.loads((folder / "reports/evaluation.json").read_text())
        print(
            f"{arguments.images} images of {arguments.size}x{arguments.size} a set (n {figures['n']}): "
            f"{seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} CPU-s, peak {used.ru_maxrss / 1e6:.2f} GB"
        )


if __name__ == "__main__":
    main()
