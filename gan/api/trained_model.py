"""A trained model in Python: images from it, latents of images, features of images.

    import gan

    model = gan.load()                         # models/generator.safetensors, or another file
    model.sample(16, label="cat", seed=1)      # uint8 (16, height, width, channels)

Needs the model file alone. Images are the ones that `ganflow sample --no-mark` writes for the same seed. They
are neither marked nor signed: pictures for other people come from `ganflow sample`, which does both.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from gan import devices, paths
from gan.api.pictures import Pixels, fitted
from gan.api.projection import Projection, nearest_latents
from gan.errors import UserError
from gan.evaluation.linear_probe import PREFIX, activations, load_discriminator
from gan.evaluation.sampling import BLOCK, generate, great_circle, sample_inputs
from gan.networks.build import join, one_hot
from gan.networks.model_file import Published, published
from gan.networks.model_file import load as read

Floats = NDArray[np.float32]
Label = str | int | None
AVERAGE = "generator_ema."  # of the two generators in models/final.safetensors the one that is published


def load(file: str | Path = paths.GENERATOR, device: str = "auto") -> "TrainedModel":
    """Read a trained model: models/generator.safetensors, a snapshot, or models/final.safetensors.

    ``device``: ``auto``, ``cpu`` or ``cuda``. Raises UserError for a file that is missing or no such model.
    """
    chosen, path = devices.prepare(device), Path(file)
    tensors, config = read(path)
    if not any(name.startswith(PREFIX) for name in tensors):
        return TrainedModel(published(path, tensors, config), None, chosen)
    average = {k.removeprefix(AVERAGE): tensor for k, tensor in tensors.items() if k.startswith(AVERAGE)}
    return TrainedModel(published(path, average, config), load_discriminator(path, tensors, config), chosen)


class TrainedModel:
    """A generator, and its discriminator where the file has one. Made by `gan.load`."""

    def __init__(self, generator: Published, discriminator: nn.Module | None, device: str) -> None:
        self.generator, self.discriminator, self.device = generator, discriminator, device
        self.classes: tuple[str, ...] = generator.classes()  # empty for a model without classes
        self.latent_dim = generator.network.latent_dim
        self.image_size: int = generator.config["image_size"]  # pixels, of height and width
        self.channels: int = generator.config["channels"]  # 1 or 3

    def __repr__(self) -> str:
        """Name what it is, in a line."""
        kind = f"{self.generator.network.architecture}, {self.image_size}x{self.image_size}x{self.channels}"
        return f"<TrainedModel {kind}, latent_dim {self.latent_dim}, {len(self.classes)} classes>"

    def latents(self, count: int, *, seed: int = 0, truncation: float | None = None) -> Floats:
        """Draw latents, float32 (count, latent_dim), as `sample` does with the same seed.

        ``truncation`` keeps them within ± that value: less variety, fewer flaws (Brock 2018, section 3.1).
        """
        self._check_count(count)
        drawn = sample_inputs(self.generator, count, seed, truncation=truncation)
        latents: Floats = drawn[:, : self.latent_dim].numpy()
        return latents

    def sample(
        self, count: int = 16, *, label: Label = None, seed: int = 0, truncation: float | None = None
    ) -> Pixels:
        """Draw images: uint8 (count, height, width, channels), values 0 to 255.

        The first ones are the same for every ``count``. Without ``label``, the classes are as frequent as in
        the training set. Raises UserError for a class that the model does not have.
        """
        self._check_count(count)
        only = None if label is None else self._number(label)
        inputs = sample_inputs(self.generator, count, seed, truncation=truncation, only=only)
        return self._drawn(inputs)

    def images(self, latents: Floats, *, label: Label | Sequence[Label] = None) -> Pixels:
        """Return the images of given latents: float (N, latent_dim) → uint8 (N, height, width, channels).

        ``label`` is one class for all of them or a sequence of N; a model with classes needs it. Raises
        UserError where a shape or a class does not fit.
        """
        return self._drawn(self._inputs(latents, label))

    def interpolate(
        self,
        steps: int = 12,
        *,
        start: Floats | None = None,
        end: Floats | None = None,
        label: Label = None,
        seed: int = 0,
    ) -> Pixels:
        """Go from one latent to another: uint8 (steps, height, width, channels).

        The way is a great circle (White 2016, arXiv:1609.04468). ``start`` and ``end`` are latents
        (latent_dim,); without them, two are drawn with ``seed``. A model with classes stays in the class
        ``label``, or in its first one. Raises UserError as `images` does.
        """
        self._check_count(steps, "steps")
        drawn = self.latents(2, seed=seed)
        ends = [
            self._checked(given if given is not None else other)
            for given, other in zip((start, end), drawn, strict=True)
        ]
        path = great_circle(ends[0], ends[1], torch.linspace(0, 1, steps))[0]
        return self.images(path.numpy(), label=0 if label is None and self.classes else label)

    def project(
        self, image: Pixels | Image.Image, *, label: Label = None, steps: int = 200, seed: int = 0
    ) -> Projection:
        """Find latents whose image is near ``image``, by optimisation.

        ``image`` is uint8 (height, width) or (height, width, channels), or Pillow's; another size is cropped
        and scaled. Without ``label``, a model with classes tries all of them. Raises UserError for an array
        that is no image and a class that the model does not have.
        """
        self._check_count(steps, "steps")
        only = None if label is None else self._number(label)
        target = torch.from_numpy(fitted(image, self.image_size, self.channels))
        return nearest_latents(self.generator, target, only, steps, seed, self.device)

    def embed(self, pixels: Pixels | Sequence[Image.Image]) -> Floats:
        """Return the discriminator's features of images: float32 (N, d).

        They are what its layers see, pooled (Radford 2015, section 5.1; gan/evaluation/linear_probe.py).
        ``pixels``: uint8 (N, height, width, channels), or Pillow's images. Raises UserError for a file that
        holds no discriminator.
        """
        if self.discriminator is None:
            raise UserError(f"this file holds a generator alone; load {paths.FINAL}, which has both networks")
        batch = np.stack([fitted(image, self.image_size, self.channels) for image in pixels])
        rows = torch.arange(-(-len(batch) // BLOCK) * BLOCK) % len(batch)  # whole blocks round alike
        seen = [
            activations(self.discriminator, torch.from_numpy(batch), self.device, block)
            for block in rows.split(BLOCK)
        ]
        features: Floats = torch.cat(seen)[: len(batch)].numpy()
        return features

    def _drawn(self, inputs: torch.Tensor) -> Pixels:
        drawn: Pixels = generate(self.generator.model, inputs, self.device).permute(0, 2, 3, 1).numpy()
        return drawn

    def _inputs(self, latents: Floats, label: Label | Sequence[Label]) -> torch.Tensor:
        checked = self._checked(latents)
        if not self.classes:
            if label is not None:
                raise UserError(f"label {label!r}: this model has no classes; leave it out")
            return checked
        each = [label] * len(checked) if label is None or isinstance(label, str | int) else list(label)
        if len(each) != len(checked):
            raise UserError(f"{len(each)} labels for {len(checked)} latents; give one, or as many")
        numbers = torch.tensor([self._number(one) for one in each], dtype=torch.int64)
        return join(checked, one_hot(numbers, len(self.classes)))

    def _checked(self, latents: Floats) -> torch.Tensor:
        array = torch.as_tensor(np.atleast_2d(np.asarray(latents, dtype=np.float32)))
        if array.ndim != 2 or array.shape[1] != self.latent_dim:
            raise UserError(f"latents of shape {np.shape(latents)}: this model takes (N, {self.latent_dim})")
        return array

    def _number(self, label: Label) -> int:
        return self.generator.class_number(label, f"label {label!r}")

    @staticmethod
    def _check_count(count: int, name: str = "count") -> None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UserError(f"{name} {count!r}: give a whole number of 1 or more")
