"""Stage sample: draw samples from the published generator, as arrays and as pictures."""

from pathlib import Path

import safetensors.torch

from gan import devices, files, images
from gan import params as parameters
from gan.evaluation.sampling import generate, interpolations, sample_inputs
from gan.networks.files import load_generator
from gan.stage import run, say

COLUMNS = 10  # steps of an interpolation
SAMPLES = Path("samples")


def main() -> None:
    """Write samples/: arrays, single PNGs, grid.png and interpolation.png."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    generator = load_generator(Path("models/generator.safetensors"))
    sample = params.sample
    inputs = sample_inputs(generator, sample.count, sample.seed, truncation=sample.truncation)
    drawn = generate(generator.model, inputs, device)
    between = interpolations(generator, sample.interpolations, COLUMNS, sample.seed)
    walks = generate(generator.model, between, device).numpy()
    shown = drawn.numpy()
    with files.fresh_folder(SAMPLES / "png") as folder:
        for i, image in enumerate(shown[: sample.pngs]):
            images.write_png(folder / f"{i:05d}.png", image)
    files.write_bytes(SAMPLES / "samples.safetensors", safetensors.torch.save({"images": drawn}))
    images.write_png(SAMPLES / "interpolation.png", images.grid(walks, COLUMNS))
    images.write_png(SAMPLES / "grid.png", images.grid(shown[: sample.grid_size**2], sample.grid_size))
    say("sample", f"{sample.count} images in samples/samples.safetensors, the first in samples/grid.png")


if __name__ == "__main__":
    run("sample", main)
