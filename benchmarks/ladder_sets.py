"""Image sets that the ladder of the report's first sentence is made of, and short trainings on them.

Three come from the archives that tests use (CONTRIBUTING.md), the others from installed packages: digits
from scikit-learn, glyphs from the fonts of matplotlib.
"""

import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

from gan import params
from gan.errors import UserError
from gan.evaluation import sampling
from gan.extractor.classifier import Extractor
from gan.extractor.classifier_training import ROTATIONS, train_extractor
from gan.networks.model_file import load_generator
from gan.params import Params
from gan.stage import Progress
from gan.training.feed import Data
from gan.training.loop import Loop

SIZE = 32  # pixels a side
MOST = 12_000  # training images
MOST_COMPARED = 1000  # images of each set
SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the training, at which samples are looked at
Changes = dict[str, dict[str, object]]
RECIPES = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True)
class ImageSet:
    """Training and held-out images uint8 (N, C, 32, 32), labels (N,) int64 of both or None, and a recipe.

    ``changes``: what differs from the recipe in the sections `network` and `train`.
    """

    train: torch.Tensor
    held_out: torch.Tensor
    labels: tuple[torch.Tensor, torch.Tensor] | None
    recipe: str
    changes: Changes

    @property
    def classes(self) -> int:
        """The number of classes; of turns, where there are no labels."""
        return len(ROTATIONS) if self.labels is None else int(self.labels[0].max()) + 1

    def without_some(self) -> tuple["ImageSet", torch.Tensor, torch.Tensor | None]:
        """Return the set without some training images, and these with their labels, to be spoilt.

        They are a little over twice as many as are compared.
        """
        count = 9 * min(len(self.held_out), MOST_COMPARED) // 4
        train, pool = self.train[:-count], self.train[-count:]
        if self.labels is None:
            return replace(self, train=train), pool, None
        labels = self.labels[0][:-count], self.labels[1]
        return replace(self, train=train, labels=labels), pool, self.labels[0][-count:]

    def params(self) -> Params:
        """Return the recipe with its changes."""
        values = params.load(RECIPES / f"{self.recipe}.yaml").model_dump(by_alias=True)
        for section, changes in self.changes.items():
            values[section] |= changes
        return Params.model_validate(values)


def load(name: str) -> ImageSet:
    """Return a set. Raises UserError where its archive is not at hand."""
    return SETS[name]()


def digits() -> ImageSet:
    """scikit-learn's digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    small = torch.from_numpy(found.images).float()[:, None] * 255 / 16
    images = F.interpolate(small, SIZE, mode="bilinear").round().byte()
    labels = torch.from_numpy(found.target).long()
    return _split(images, labels, 359, "digits", {})


def mnist() -> ImageSet:
    """MNIST, by class."""
    train, held_out = _archive("mnist-png.tar.xz", "L")
    changes: Changes = {
        "network": {"base_channels": 16},
        "train": {"max_steps": 1200},
        "extractor": {"steps": 200},
    }
    return ImageSet(train[0], held_out[0], (train[1], held_out[1]), "mnist", changes)


def cifar10() -> ImageSet:
    """CIFAR-10, by class."""
    train, held_out = _archive("cifar10-images.tar.xz", "RGB")
    changes: Changes = {
        "network": {"base_channels": 32},
        "train": {"max_steps": 1500},
        "extractor": {"steps": 600},
    }
    return ImageSet(train[0], held_out[0], (train[1], held_out[1]), "cifar10", changes)


def horses() -> ImageSet:
    """CIFAR-10's horses without labels: photos of one kind."""
    train, held_out = _archive("cifar10-images.tar.xz", "RGB", "horse")
    changes: Changes = {
        "network": {"base_channels": 24, "conditional": False},
        "train": {"epochs": 1000, "max_steps": 1500},
        "extractor": {"steps": 300, "batch_size": 128},
    }
    return ImageSet(train[0], held_out[0], None, "cifar10", changes)


def glyphs() -> ImageSet:
    """Letters and signs of the fonts in matplotlib, black on white."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    drawn = []
    for name in ("DejaVuSans", "DejaVuSerif-Bold", "STIXGeneral"):
        path = Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
        font = ImageFont.truetype(str(path), 22, layout_engine=ImageFont.Layout.BASIC)
        for code in sorted(FT2Font(str(path)).get_charmap()):
            image = Image.new("L", (SIZE, SIZE), 255)
            ImageDraw.Draw(image).text((SIZE // 2, SIZE // 2), chr(code), 0, font, "mm")
            drawn.append(np.array(image))
    images = torch.from_numpy(np.stack(drawn))[:, None]
    images = images[images.float().flatten(1).std(1) > 10]  # what is blank, or outside the picture
    changes: Changes = {
        "train": {"max_steps": 1500, "epochs": 1000, "augment_shift": 2},
        "extractor": {"steps": 400, "batch_size": 128},
    }
    return _split(images, None, 1000, "digits", changes)


SETS: dict[str, Callable[[], ImageSet]] = {
    made.__name__: made for made in (digits, mnist, cifar10, horses, glyphs)
}


def _split(
    images: torch.Tensor,
    labels: torch.Tensor | None,
    held_out: int,
    recipe: str,
    changes: Changes,
) -> ImageSet:
    """Hold out random images."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    first, rest = order[:held_out], order[held_out:]
    both = None if labels is None else (labels[rest], labels[first])
    return ImageSet(images[rest], images[first], both, recipe, changes)


def _archive(name: str, mode: str, label: str = "") -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return images and labels of the training half and of the test half, every so many of the files.

    ``label``: of this class alone.
    """
    here = Path(__file__).parent.parent.parent / "shared" / "datasets"
    path = Path(os.environ.get("GANFLOW_DATASETS", here)) / name
    if not path.is_file():
        raise UserError(f"{path}: no such archive; GANFLOW_DATASETS names the folder")
    halves: dict[str, list[tuple[str, np.ndarray]]] = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.isfile() and f"/{label}" in member.name]
        counts = {half: sum(f"/{half}/" in member.name for member in members) for half in halves}
        seen = dict.fromkeys(halves, 0)
        for member in members:
            half, of = member.name.split("/")[1:3]
            every = max(counts[half] // (MOST if half == "train" else 1000), 1)
            seen[half] += 1
            content = archive.extractfile(member)
            if content is not None and seen[half] % every == 0:
                image = Image.open(io.BytesIO(content.read())).convert(mode)
                halves[half].append((of, np.array(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))))
    names = sorted({label for label, _ in halves["train"]})
    found = []
    for rows in halves.values():
        stack = torch.from_numpy(np.stack([image for _, image in rows]))
        stack = stack[:, None] if stack.ndim == 3 else stack.permute(0, 3, 1, 2)
        labels = torch.tensor([names.index(label) for label, _ in rows])
        order = torch.randperm(len(stack), generator=torch.Generator().manual_seed(0))
        found.append((stack[order].contiguous(), labels[order]))
    return found


def extractor(chosen: ImageSet) -> Extractor:
    """Return the extractor that its recipe trains."""
    settings = chosen.params().extractor
    labels = None if chosen.labels is None else chosen.labels[0]
    progress = Progress("extractor", settings.steps, "step")
    return train_extractor(chosen.train, labels, chosen.classes, settings, "cpu", progress.update)


def trained(chosen: ImageSet, count: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Train as the recipe says and yield ``count`` samples of each snapshot, an untrained one first."""
    settings = chosen.params()
    labels = None if chosen.labels is None else chosen.labels[0]
    names = tuple(map(str, range(chosen.classes))) if labels is not None else ()
    data = Data(chosen.train, labels, len(names), names)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(settings.network, settings.train, data, Path(folder), "cpu")
        loop.snapshot_steps = {round(loop.total * share) for share in SHARES}
        loop.snapshot()
        loop.run(Progress("train", loop.total, "step", loop.per_step).update)
        for name, images in samples(loop.folder / "snapshots", count):
            yield f"step {int(name.rpartition('-')[2])}", images


def samples(folder: Path, count: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the name and ``count`` samples of each snapshot in a folder."""
    for path in sorted(folder.glob("*.safetensors")):
        generator = load_generator(path)
        inputs = sampling.sample_inputs(generator, count, 0)
        yield path.stem, sampling.generate(generator.model, inputs, "cpu")
