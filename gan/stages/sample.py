"""Stage sample: draw samples from the published generator, as arrays and as pictures."""

import json

import safetensors.torch

from gan import devices, files, paths
from gan import params as parameters
from gan.data import images
from gan.evaluation.sampling import generate, interpolations, round_trip, sample_inputs
from gan.networks.build import labels_of
from gan.networks.model_file import load_generator
from gan.runtime.packages import unpinned_packages
from gan.stage import run, say

COLUMNS = 10  # steps of an interpolation
SIDE = 4  # rows and columns of the animation


def main() -> None:
    """Write samples/: arrays, single PNGs, grid.png, interpolation.png and interpolation.webp."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    generator, made_by = load_generator(paths.GENERATOR), files.sha256_file(paths.GENERATOR)
    sample = params.sample
    inputs = sample_inputs(generator, sample.count, sample.seed, truncation=sample.truncation)
    drawn = generate(generator.model, inputs, device)
    pixels = drawn.numpy()
    with files.fresh_folder(paths.PNGS) as folder:
        for i, image in enumerate(pixels[: sample.pngs]):
            images.write_png(folder / f"{i:05d}.png", image, made_by)
    unpinned = unpinned_packages()
    about = {"unpinned": json.dumps(unpinned)} if unpinned else None
    files.write_bytes(paths.SAMPLES, safetensors.torch.save({"images": drawn}, about))
    between = interpolations(generator, sample.interpolations, COLUMNS, sample.seed)
    walks = generate(generator.model, between, device).numpy()
    images.write_png(paths.INTERPOLATION, images.grid(walks, COLUMNS), made_by)
    walk = generate(generator.model, round_trip(generator, sample.frames, SIDE**2, sample.seed), device)
    frames = images.sheets(walk.numpy(), SIDE**2, SIDE)
    files.write_bytes(paths.ANIMATION, images.animation_bytes(frames, made_by))
    grid = images.grid(pixels[: sample.grid_size**2], sample.grid_size)
    numbers, names = labels_of(generator.network, inputs[: sample.grid_size**2]), generator.classes()
    labels = None if numbers is None else [names[number] for number in numbers]
    images.write_png(paths.GRID, grid, made_by, labels=labels)
    say("sample", f"{sample.count} images in {paths.SAMPLES}, the first in {paths.GRID}")


if __name__ == "__main__":
    run("sample", main)
