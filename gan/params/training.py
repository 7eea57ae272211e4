"""The params of the networks and of their training, each checked against the others."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gan.params.fields import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Ramp,
    Ramped,
    Section,
    Seed,
    Text,
    ends,
    within,
)

Decay = Annotated[float, Field(ge=0, lt=1)]

# The table of objectives: each is the function of this name in gan/training/objectives.py.
Objective = Literal["non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic"]
SMOOTHED = ("non_saturating", "minimax", "least_squares")  # those with a label to smooth


class Network(Section):
    """The pair of networks: a module of gan/networks."""

    architecture: Literal["dcgan", "resnet", "residual", "projected", "mlp"]
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

    @property
    def group(self) -> int:
        """Images that the discriminator compares with each other, so that a process needs them all."""
        return GROUP if self.architecture == "projected" else 1


GROUP = 4  # images whose differences `projected` measures together (Karras 2018)
NORM_FREE = ("mlp", "residual")  # networks in which no image of a batch changes what becomes of another
FREE = frozenset({"devices", "checkpoint_seconds", "threads"})  # of Train: no result depends on them


class Train(Section):
    """The alternating training of discriminator and generator."""

    batch_size: Annotated[int, Field(ge=2)]  # batch normalisation has no variance of one image
    epochs: Count
    max_steps: Count | None
    objective: Objective
    d_steps: Annotated[int, Field(ge=1, le=100)]
    accumulate: Count = 1
    learning_rate: Annotated[Ramped, within(Positive)]
    learning_rate_d: Annotated[Ramped, within(Positive)] | None
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[Ramped, within(Decay)]
    lr_decay_factor: Annotated[float, Field(gt=0, le=1)]
    lr_decay_steps: Count
    r1_gamma: Annotated[Ramped, within(NotNegative)]
    r2_gamma: Annotated[Ramped, within(NotNegative)]
    gradient_penalty: NotNegative
    penalty_every: Count
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    instance_noise: NotNegative
    augment_shift: Annotated[int, Field(ge=0, le=16)]
    augment_color: Fraction
    augment_cutout: Annotated[float, Field(ge=0, lt=1)]
    augment_share: Annotated[Ramped, within(Fraction)] = 1.0
    augment_target: Annotated[float, Field(gt=0, lt=1)] | None
    augment_adapt_images: Count
    ema_decay: Annotated[Ramped, within(Decay)]
    snapshots: Count
    log_every: Count
    checkpoint_seconds: NotNegative
    on_divergence: Literal["stop", "rollback"]
    on_collapse: Literal["warn", "stop", "rollback"] = "warn"
    patience: Count | None = None
    init_from: Text | None
    device: Literal["auto", "cpu", "cuda"]
    devices: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal["auto", "fp32", "bf16"]
    compile: Literal["auto"] | bool
    cuda_graphs: Literal["auto"] | bool
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=16)]
    seed: Seed

    @property
    def per_step(self) -> int:
        """Training images that a step sees."""
        return self.batch_size * self.d_steps

    @property
    def penalised(self) -> bool:
        """Whether any regulariser takes gradients of D's gradients."""
        return any(max(ends(gamma)) for gamma in (self.r1_gamma, self.r2_gamma, self.gradient_penalty))

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
        if self.batch_size % (self.accumulate * self.devices):
            raise ValueError(
                f"train.accumulate: {self.accumulate}: the parts of train.batch_size {self.batch_size} (on "
                f"{self.devices} devices) are not of one size; change one of them"
            )
        if self.augment_target is not None and self.augment_share != 1:
            raise ValueError(
                f"train.augment_share: {self.augment_share}: train.augment_target sets the share by itself; "
                "set augment_share to 1 or augment_target to null"
            )
        if self.cuda_graphs is True and isinstance(self.beta2, Ramp):
            raise ValueError(
                "train.cuda_graphs: True: a graph keeps one beta2; give train.beta2 one value, or set "
                "cuda_graphs to auto or false"
            )
        if self.patience is not None and self.patience >= self.snapshots:
            raise ValueError(
                f"train.patience: {self.patience}: counts snapshots, and there are {self.snapshots}; raise "
                "train.snapshots above it"
            )
        if self.compile is True and self.penalised:
            raise ValueError(
                "train.compile: True: torch.compile has no second derivatives, which r1_gamma, r2_gamma and "
                "gradient_penalty take; set it to auto or false"
            )
        return self
