"""Stage sample: draw samples from the published generator, as arrays and as pictures."""

from pathlib import Path

import safetensors.torch

from gan import devices, files, images
from gan import params as parameters
from gan.evaluation.sampling import generate, interpolations, sample_latents
from gan.networks.files import load_generator
from gan.stage import run, say

COLUMNS = 10  # steps of an interpolation


def main() -> None:
    """Write samples/: arrays, single PNGs, grid.png and interpolation.png."""
    params = parameters.load()
    device = devices.prepare(params.train.device, params.train.threads)
    model, network = load_generator(Path("models/generator.safetensors"))
    sample = params.sample
    drawn = generate(model, sample_latents(network, sample.count, sample.seed), device)
    between = interpolations(network, sample.interpolations, COLUMNS, sample.seed)
    walks = generate(model, between, device).numpy()
    with files.fresh_folder(Path("samples")) as folder:
        content = safetensors.torch.save({"images": drawn})
        files.write_bytes(folder / "samples.safetensors", content)
        shown = drawn[: sample.grid_size**2].numpy()
        images.write_png(folder / "grid.png", images.grid(shown, sample.grid_size))
        images.write_png(folder / "interpolation.png", images.grid(walks, COLUMNS))
        for i, image in enumerate(drawn[: sample.pngs].numpy()):
            images.write_png(folder / "png" / f"{i:05d}.png", image)
    say("sample", f"{sample.count} images in samples/samples.safetensors, the first in samples/grid.png")


if __name__ == "__main__":
    run("sample", main)
