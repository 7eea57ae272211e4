"""Stage sample: draw samples from the published generator, as arrays and as pictures."""

from pathlib import Path

import safetensors.torch

from gan import devices, files, images
from gan import params as parameters
from gan.evaluation.sampling import generate, interpolations, round_trip, sample_inputs
from gan.networks.files import load_generator
from gan.stage import run, say

COLUMNS = 10  # steps of an interpolation
SIDE = 4  # rows and columns of the animation
SAMPLES = Path("samples")
GENERATOR = Path("models/generator.safetensors")


def main() -> None:
    """Write samples/: arrays, single PNGs, grid.png, interpolation.png and interpolation.webp."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    generator, made_by = load_generator(GENERATOR), files.sha256_file(GENERATOR)
    sample = params.sample
    inputs = sample_inputs(generator, sample.count, sample.seed, truncation=sample.truncation)
    drawn = generate(generator.model, inputs, device)
    shown = drawn.numpy()
    with files.fresh_folder(SAMPLES / "png") as folder:
        for i, image in enumerate(shown[: sample.pngs]):
            images.write_png(folder / f"{i:05d}.png", image, made_by)
    files.write_bytes(SAMPLES / "samples.safetensors", safetensors.torch.save({"images": drawn}))
    between = interpolations(generator, sample.interpolations, COLUMNS, sample.seed)
    walks = generate(generator.model, between, device).numpy()
    images.write_png(SAMPLES / "interpolation.png", images.grid(walks, COLUMNS), made_by)
    paths = generate(generator.model, round_trip(generator, sample.frames, SIDE**2, sample.seed), device)
    frames = images.sheets(paths.numpy(), SIDE**2, SIDE)
    files.write_bytes(SAMPLES / "interpolation.webp", images.animation_bytes(frames, made_by))
    grid = images.grid(shown[: sample.grid_size**2], sample.grid_size)
    images.write_png(SAMPLES / "grid.png", grid, made_by)
    say("sample", f"{sample.count} images in samples/samples.safetensors, the first in samples/grid.png")


if __name__ == "__main__":
    run("sample", main)
