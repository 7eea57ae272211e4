"""What the page and the model card say in words, made of params and figures."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from gan.data.network import shown
from gan.params import Data, Network, Section, Train
from gan.report.card import cut
from gan.report.metrics import interval, known, number

PAPERS = {
    "dcgan": "Radford et al., *Unsupervised Representation Learning with Deep Convolutional GANs*, 2015.",
    "resnet": "Miyato et al., *Spectral Normalization for Generative Adversarial Networks*, 2018.",
    "least_squares": "Mao et al., *Least Squares Generative Adversarial Networks*, 2017.",
    "hinge": "Lim and Ye, *Geometric GAN*, 2017.",
    "wasserstein": "Arjovsky et al., *Wasserstein GAN*, 2017.",
    "relativistic": "Huang et al., *The GAN is dead; long live the GAN! A Modern GAN Baseline*, 2024.",
}
TOLD = (
    *("objective", "batch_size", "epochs", "max_steps", "d_steps", "learning_rate", "learning_rate_d"),
    *("beta1", "beta2", "r1_gamma", "r2_gamma", "gradient_penalty", "label_smoothing", "instance_noise"),
    *("augment_shift", "augment_color", "augment_cutout", "ema_decay", "precision", "seed"),
)


def source(data: Data) -> str:
    """Return what the images are called: a set's name, or the last part of a path or address."""
    return cut(PurePath(shown(data.source)).name or shown(data.source))


def title(network: Network, data: Data) -> str:
    """Return what the model is called."""
    return f"{network.architecture.upper()} on {cut(source(data), 60)}"


def section(params: Section) -> str:
    """Return one section of params as YAML, without what may be secret in an address."""
    values = {key: _clean(value) for key, value in params.model_dump(mode="json").items()}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return shown(value) if isinstance(value, str) else value


def conditional(network: Network) -> str:
    """Say whether it generates by class."""
    if network.conditional == "auto":
        return "by class, where the data have classes"
    return "by class" if network.conditional else "without classes"


def procedure(train: Train) -> str:
    """Say in a sentence how it was trained."""
    much = f"{train.epochs} epochs"
    if train.max_steps is not None:
        much += f", {train.max_steps} steps at most"
    averaged = (
        f"the published weights are an average over steps (decay {train.ema_decay:g})"
        if train.ema_decay
        else "the published weights are the trained ones"
    )
    return (
        f"Alternating updates of discriminator and generator by Adam, {much} in batches of "
        f"{train.batch_size}; {averaged}, of the snapshot that scores best against training images."
    )


def hyperparameters(network: Network, train: Train) -> list[tuple[str, Any]]:
    """Return the names and values that matter most."""
    told = [("architecture", network.architecture), ("latent_dim", network.latent_dim)]
    values = train.model_dump(mode="json")
    return [*told, *((name, values[name]) for name in TOLD if values[name] is not None)]


def papers(network: Network, train: Train) -> list[str]:
    """Return the papers of the architecture and the objective."""
    return [PAPERS[name] for name in (network.architecture, train.objective) if name in PAPERS]


def features(metrics: Mapping[str, Any], extractor: Mapping[str, Any]) -> str:
    """Say whose eyes the metrics look through."""
    kind = metrics.get("features", "extractor")
    if kind == "inception":
        return "the standard Inception network"
    if kind == "dinov2":
        return "DINOv2"
    right = f"{extractor['accuracy']:.1%} of held-out {extractor['task']} right"
    return f"the pipeline's own extractor ({right})"


def facts(metrics: Mapping[str, Any], expectations: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the few figures that stand beside the samples."""
    wanted = (
        ("precision", "Precision: samples that look real"),
        ("recall", "Recall: real images that are covered"),
        ("fd_semantic", "Fréchet distance, semantic"),
        ("memorised", "Samples suspiciously near a training image"),
    )
    found = []
    for key, name in wanted:
        value, floor = known(metrics, key), known(metrics, f"{key}_floor")
        if value is not None:
            note = "" if floor is None else f"real images: {_share(key, floor)}"
            found.append({"name": name, "value": _share(key, value), "note": note})
    held = sum(bool(row["success"]) for row in expectations)
    if expectations and len(found) < 4:
        found.append(
            {
                "name": "Expectations of the data that hold",
                "value": f"{held}",
                "note": f"of {len(expectations)}",
            }
        )
    return found


def _share(key: str, value: float) -> str:
    return f"{value:.3g}" if key.startswith("fd_") else f"{100 * value:.3g} %"


def memorisation(metrics: Mapping[str, Any]) -> str:
    """Say by which rule samples are flagged as memorised, and how many are."""
    value = known(metrics, "memorised")
    if value is None:
        return ""
    text = (
        "A sample is flagged when it lies nearer to a training image, on the scale of how close training "
        "images lie there, than one held-out image in a thousand would: "
        f"{100 * value:.3g} % of the samples are"
    )
    if between := interval(metrics, "memorised"):
        text += f" (95 % interval {number(100 * max(0.0, between[0]))} to {number(100 * between[1])} %)"
    if (floor := known(metrics, "memorised_floor")) is not None:
        text += f", and {100 * floor:.3g} % of as many real images by the same rule"
    if (pixels := known(metrics, "memorised_pixels")) is not None:
        text += f". Pixel by pixel: {100 * pixels:.3g} %"
    return text + "."


def expectation(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one expectation's outcome as short text."""
    return {
        "name": cut(row["name"], 300),
        "severity": row["severity"],
        "success": bool(row["success"]),
        "observed": cut(row.get("error") if row["observed"] is None else row["observed"], 300),
        "limit": cut(row["limit"], 300),
    }
