"""The typed, frozen, range-checked view of params.yaml.

Units, ranges and reasons stand beside each param in params.yaml. Free of torch: flows import this too.
Whichever stage runs first checks every section, so a typo in `evaluate` stops it before training.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from gan import paths
from gan.errors import UserError, refused_values
from gan.params.fields import (
    CodePage,
    Count,
    Fraction,
    Labels,
    LayoutPatterns,
    Positive,
    Section,
    Seed,
    Sha256,
    Text,
    Texts,
    ValueRange,
)
from gan.params.training import FREE as FREE
from gan.params.training import NORM_FREE
from gan.params.training import SMOOTHED as SMOOTHED
from gan.params.training import Network as Network
from gan.params.training import Objective as Objective
from gan.params.training import Train as Train
from gan.yaml12 import read_yaml


class Data(Section):
    """Where images come from and what shape they are brought to."""

    source: Text
    mirrors: Texts
    sha256: Sha256 | None
    links: Literal["follow", "refuse"]
    image_size: Literal[32, 64, 128]
    value_range: Literal["auto"] | ValueRange
    damaged: Literal["refuse", "keep"]
    layout: Literal["auto", "flat", "classes"] | LayoutPatterns
    zip_names: CodePage = "auto"
    channels: Literal["auto", 1, 3]
    fit: Literal["center_crop", "pad", "stretch"]
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    near_duplicates: Annotated[int, Field(ge=0, le=8)] | None
    max_files: Count
    max_file_bytes: Count
    max_bytes: Count
    max_ratio: Annotated[float, Field(ge=1)]
    max_pixels: Count

    OF_IMAGES: ClassVar = ("image_size", "channels", "fit", "test_fraction", "seed", "near_duplicates")

    @property
    def of_images(self) -> dict[str, Any]:
        """What made the prepared images what they are; limits and mirrors do not."""
        return {name: getattr(self, name) for name in self.OF_IMAGES}


class Validate(Section):
    """Limits of the Great Expectations suite over the manifest."""

    min_images: Count
    min_decodable: Fraction
    max_leaked: Fraction
    max_near_leaked: Fraction
    max_duplicates: Fraction
    max_near_duplicates: Fraction
    classes: Labels | None
    min_class_balance: Fraction
    min_pixel_std: Annotated[float, Field(ge=0, le=127.5)]
    min_entropy: Annotated[float, Field(ge=0, le=8)]
    reference: Text | None
    max_drift: Fraction
    data_docs: bool


class Extractor(Section):
    """The feature extractor that evaluation looks through."""

    steps: Count
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    flip: bool
    shift: Annotated[int, Field(ge=0, le=16)]
    seed: Seed


class Select(Section):
    """The choice of the best snapshot."""

    samples: Annotated[int, Field(ge=16)]
    seed: Seed


class Sample(Section):
    """The samples that are kept and shown."""

    count: Annotated[int, Field(ge=16)]
    grid_size: Annotated[int, Field(ge=2, le=32)]
    pngs: Annotated[int, Field(ge=0)]
    interpolations: Count
    frames: Annotated[int, Field(ge=2)]
    truncation: Positive | None
    seed: Seed


class Evaluate(Section):
    """The comparison of samples with held-out images."""

    features: Literal["extractor", "efficientnet", "inception", "dinov2"]
    weights: Text | None
    weights_sha256: Sha256 | None
    max_images: Annotated[int, Field(ge=16)]
    nearest_k: Count
    seed: Seed


class Report(Section):
    """What the report and the model card tell."""

    publish_sources: bool = False


class Gate(Section):
    """When a model may become the champion: read by flows.promote, by no stage."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    min_gain: Annotated[float, Field(ge=0, lt=1)]
    min_precision: Fraction
    min_recall: Fraction
    max_label_divergence: Fraction


Tracker = Literal["tensorboard", "mlflow", "dvclive", "wandb"]  # each is a file in gan/trackers


class Track(Section):
    """Where the curves of a training go besides. No result depends on it."""

    to: Annotated[tuple[Tracker, ...], Field(strict=False)] = ()


class Params(Section):
    """All of params.yaml, a section per stage (download and prepare share `data`), and what is no stage's."""

    data: Data
    validation: Annotated[Validate, Field(alias="validate")]  # pydantic owns the plain name
    network: Network
    train: Train
    extractor: Extractor
    select: Select
    sample: Sample
    evaluate: Evaluate
    report: Report = Report()
    gate: Gate
    track: Track = Track()

    @model_validator(mode="after")
    def _buildable(self) -> Self:
        depth, size = self.network.depth, self.data.image_size
        if self.network.architecture != "mlp" and depth != "auto" and size >> depth < 2:
            raise ValueError(
                f"network.depth: {depth}: so many halvings leave less than 2x2 pixels of "
                f"data.image_size {size}; at most {size.bit_length() - 2}, or auto"
            )
        if self.network.spectral_norm and self.network.architecture == "residual":
            raise ValueError(
                "network.spectral_norm: True: layers of residual begin at 0, and 0 has no norm to divide by; "
                "set it to false, and train.r1_gamma to 1 to keep the discriminator smooth"
            )
        if self.train.accumulate > 1 and self.network.architecture not in NORM_FREE:
            raise ValueError(
                f"train.accumulate: {self.train.accumulate}: the batch normalisation of "
                f"{self.network.architecture} needs the whole batch; set it to 1, or network.architecture to "
                f"{' or '.join(NORM_FREE)}"
            )
        devices, batch = self.train.devices, self.train.batch_size
        if devices > 1 and batch % (devices * self.network.group):
            raise ValueError(
                f"train.devices: {devices}: the discriminator of {self.network.architecture} compares "
                f"{self.network.group} images with each other, so each device needs a multiple of "
                f"{self.network.group} of train.batch_size {batch}; change one of them"
            )
        if self.train.objective == "wasserstein" and not (
            self.train.gradient_penalty or self.network.spectral_norm
        ):
            raise ValueError(
                "train.objective: wasserstein: needs a Lipschitz discriminator; set train.gradient_penalty "
                "(Gulrajani 2017: 10) or network.spectral_norm"
            )
        if self.evaluate.features in ("inception", "dinov2"):
            needed = {"weights": self.evaluate.weights, "weights_sha256": self.evaluate.weights_sha256}
            if lacking := [f"evaluate.{key}" for key, value in needed.items() if value is None]:
                raise ValueError(
                    f"evaluate.features: {self.evaluate.features}: needs its weights (docs/evaluation.md "
                    f"says which); give {' and '.join(lacking)}, or use extractor"
                )
        if self.sample.grid_size**2 > self.sample.count:
            raise ValueError(
                f"sample.grid_size: {self.sample.grid_size} x {self.sample.grid_size} images do "
                f"not fit in sample.count {self.sample.count}; lower one or raise the other"
            )
        return self


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check a params file. Raises UserError: the file, each offending key, its value, the rule."""
    return check(read_yaml(path), str(path))


def check(values: Any, where: str) -> Params:
    """Check what was read of a params file. Raises UserError, which begins with ``where``."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(refused_values(error))) from None
