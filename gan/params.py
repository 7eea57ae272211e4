"""The typed, frozen, range-checked view of params.yaml.

Units, ranges and reasons stand beside each knob in params.yaml; here is what is enforced.
Everything is checked by whichever stage loads the file first, so a typo in `evaluate` is found
before training, not after. Free of torch: flows import this module too.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gan.errors import UserError

PARAMS_FILE = Path("params.yaml")

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]  # YAML has lists, and these would not be frozen
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """Base of all sections: unknown keys, NaN, infinities and silent conversions are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(Section):
    """Where images come from and what shape they are brought to."""

    source: Text
    mirrors: Texts
    sha256: Sha256 | None
    image_size: Literal[32, 64, 128]
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


class Validate(Section):
    """Limits of the Great Expectations suite over the manifest."""

    min_images: Count
    min_decodable: Fraction
    max_leaked: Fraction
    max_near_leaked: Fraction
    max_duplicates: Fraction
    max_near_duplicates: Fraction
    classes: Texts | None
    min_class_balance: Fraction
    min_pixel_std: Annotated[float, Field(ge=0, le=127.5)]
    min_entropy: Annotated[float, Field(ge=0, le=8)]
    reference: Text | None
    max_drift: Fraction
    data_docs: bool


# The table of objectives: each is the function of this name in gan/training/objectives.py.
Objective = Literal[
    "non_saturating",
    "minimax",
    "least_squares",
    "hinge",
    "wasserstein",
    "relativistic",
]
SMOOTHED = ("non_saturating", "minimax", "least_squares")  # those with a label to smooth


class Network(Section):
    """The pair of networks, `dcgan`, `resnet` or `mlp`."""

    architecture: Literal["dcgan", "resnet", "mlp"]
    conditional: Literal["auto"] | bool
    spectral_norm: bool
    latent_dim: Count
    latent_distribution: Literal["normal", "uniform"]
    base_channels: Annotated[int, Field(ge=1, le=1024)]
    kernel_size: Literal[4, 5]
    depth: Literal["auto"] | Annotated[int, Field(ge=1, le=6)]
    dense_units: Annotated[int, Field(ge=0)]
    generator_activation: Literal["relu", "leaky_relu"]
    hidden_units: Count
    hidden_layers: Annotated[int, Field(ge=1, le=16)]
    mlp_activation: Literal["maxout", "leaky_relu"]
    maxout_pieces: Annotated[int, Field(ge=2, le=16)]
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Train(Section):
    """The alternating training of discriminator and generator."""

    batch_size: Annotated[int, Field(ge=2)]  # batch normalisation has no variance of one image
    epochs: Count
    max_steps: Count | None
    objective: Objective
    d_steps: Annotated[int, Field(ge=1, le=100)]
    learning_rate: Positive
    learning_rate_d: Positive | None
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    lr_decay_factor: Annotated[float, Field(gt=0, le=1)]
    lr_decay_steps: Count
    r1_gamma: NotNegative
    r2_gamma: NotNegative
    gradient_penalty: NotNegative
    penalty_every: Count
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    instance_noise: NotNegative
    augment_shift: Annotated[int, Field(ge=0, le=16)]
    augment_color: Fraction
    augment_cutout: Annotated[float, Field(ge=0, lt=1)]
    augment_target: Annotated[float, Field(gt=0, lt=1)] | None
    augment_adapt_images: Count
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    snapshots: Count
    log_every: Count
    checkpoint_seconds: NotNegative
    on_divergence: Literal["stop", "rollback"]
    init_from: Text | None
    device: Literal["auto", "cpu", "cuda"]
    devices: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal["auto", "fp32", "bf16"]
    compile: Literal["auto"] | bool
    cuda_graphs: Literal["auto"] | bool
    threads: Count
    seed: Seed

    @property
    def penalised(self) -> bool:
        """Whether any regulariser takes gradients of D's gradients."""
        return max(self.r1_gamma, self.r2_gamma, self.gradient_penalty) > 0

    def divides_among(self, processes: int) -> bool:
        """Say whether each process gets the same share of a batch, two images or more."""
        return self.batch_size % processes == 0 and self.batch_size // processes >= 2

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.label_smoothing and self.objective not in SMOOTHED:
            raise ValueError(
                f"train.label_smoothing: {self.label_smoothing}: the objective {self.objective} has no "
                f"labels to smooth; set it to 0, or train.objective to {', '.join(SMOOTHED)}"
            )
        if not self.divides_among(self.devices):
            raise ValueError(
                f"train.devices: {self.devices}: each needs the same share, 2 or more, of "
                f"train.batch_size {self.batch_size}; change one of them"
            )
        if self.compile is True and self.penalised:
            raise ValueError(
                "train.compile: True: torch.compile has no second derivatives, which r1_gamma, r2_gamma and "
                "gradient_penalty take; set it to auto or false"
            )
        return self


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

    features: Literal["extractor", "inception", "dinov2"]
    weights: Text | None
    weights_sha256: Sha256 | None
    max_images: Annotated[int, Field(ge=16)]
    nearest_k: Count
    seed: Seed


class Gate(Section):
    """When a model may become the champion: read by flows.promote, by no stage."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    min_gain: Annotated[float, Field(ge=0, lt=1)]
    min_precision: Fraction
    min_recall: Fraction
    max_label_divergence: Fraction


class Params(Section):
    """All of params.yaml, a section per stage (download and prepare share `data`), and the gate."""

    data: Data
    validation: Annotated[Validate, Field(alias="validate")]  # pydantic owns the plain name
    network: Network
    train: Train
    extractor: Extractor
    select: Select
    sample: Sample
    evaluate: Evaluate
    gate: Gate

    @model_validator(mode="after")
    def _buildable(self) -> Self:
        depth, size = self.network.depth, self.data.image_size
        if self.network.architecture != "mlp" and depth != "auto" and size >> depth < 2:
            raise ValueError(
                f"network.depth: {depth}: so many halvings leave less than 2x2 pixels of "
                f"data.image_size {size}; at most {size.bit_length() - 2}, or auto"
            )
        if self.train.objective == "wasserstein" and not (
            self.train.gradient_penalty or self.network.spectral_norm
        ):
            raise ValueError(
                "train.objective: wasserstein: needs a Lipschitz discriminator; set train.gradient_penalty "
                "(Gulrajani 2017: 10) or network.spectral_norm"
            )
        if self.evaluate.features != "extractor":
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


def load(path: Path = PARAMS_FILE) -> Params:
    """Read and check a params file.

    Raises UserError, one line that names the file, each offending key, its value and the rule.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the root of the repository") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no sections; see recipes/ for complete files")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: " + "; ".join(_lines(error))) from None


def _lines(error: ValidationError) -> list[str]:
    """Give a validation error as `section.key: value: rule`, one text a key."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False):
        # Behind the key stands the branch of a union that was tried (`auto`, `int`): drop it.
        key = ".".join(str(part) for part in item["loc"][:2])
        rule = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            rule = "unknown key; remove it or correct its name"
        elif item["type"] == "missing":
            rule = "missing; add it (recipes/ holds complete files)"
        elif item["type"] != "value_error":
            rule = f"{item['input']!r}: {rule[0].lower()}{rule[1:]}"
        if not key:
            found[rule] = rule
        elif key in found and item["type"] != "extra_forbidden":
            found[key] += ", or " + rule.partition(": ")[2]
        else:
            found[key] = f"{key}: {rule}"
    return list(found.values())


class _Yaml12(yaml.SafeLoader):
    """PyYAML with the scalars of YAML 1.2's core schema, which DVC writes and reads.

    PyYAML alone follows YAML 1.1: `2e-4` is text, `010` is 8, `on` is True, `12:30` is 750.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - none of YAML 1.1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str):
                raise ValueError(f"key {key!r} is not text; quote it")
            if keys.count(key) > 1:
                raise ValueError(f"key {key!r} stands twice in one section; keep one")
        return super().construct_mapping(node, deep)


def _integer(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = node.value
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def _number(_loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


# YAML 1.2.2, section 10.3.2 (the core schema's regular expressions)
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.nan|\.NaN|\.NAN",
        list("-+0123456789."),
    ),
):
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Yaml12.add_constructor("tag:yaml.org,2002:int", _integer)
_Yaml12.add_constructor("tag:yaml.org,2002:float", _number)


def parse(text: str) -> Any:
    """Parse YAML 1.2 text as DVC does. Raises yaml.YAMLError or ValueError."""
    return yaml.load(text, Loader=_Yaml12)  # noqa: S506 - a SafeLoader
