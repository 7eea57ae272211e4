"""Sentences and short texts for the page and the model card, from params and metrics."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from gan.metric_table import interval, known, number
from gan.params import FREE, Data, Network, Train
from gan.params.fields import Section
from gan.report.model_card import cut
from gan.urls import redacted, redacted_values

PAPERS = {
    "dcgan": "Radford et al., *Unsupervised Representation Learning with Deep Convolutional GANs*, 2015.",
    "resnet": "Miyato et al., *Spectral Normalization for Generative Adversarial Networks*, 2018.",
    "residual": "Huang et al., *The GAN is dead; long live the GAN! A Modern GAN Baseline*, 2024.",
    "projected": "Sauer et al., *Projected GANs Converge Faster*, 2021.",
    "least_squares": "Mao et al., *Least Squares Generative Adversarial Networks*, 2017.",
    "hinge": "Lim and Ye, *Geometric GAN*, 2017.",
    "wasserstein": "Arjovsky et al., *Wasserstein GAN*, 2017.",
    "relativistic": "Huang et al., *The GAN is dead; long live the GAN! A Modern GAN Baseline*, 2024.",
}
MAIN_HYPERPARAMETERS = (
    *("objective", "batch_size", "epochs", "max_steps", "d_steps", "learning_rate", "learning_rate_d"),
    *("beta1", "beta2", "r1_gamma", "r2_gamma", "gradient_penalty", "label_smoothing", "instance_noise"),
    *("augment_shift", "augment_color", "augment_cutout", "ema_decay", "precision", "seed"),
)


def source(data: Data) -> str:
    """Return the name of the images: a data set, or the last part of a path or address."""
    return cut(PurePath(redacted(data.source)).name or redacted(data.source))


def title(network: Network, data: Data) -> str:
    """Return the title of the model."""
    return f"{network.architecture.upper()} on {cut(source(data), 60)}"


def section(params: Section) -> str:
    """Return one section of params as YAML, without secrets in addresses and what no result depends on."""
    left_out = set(FREE) if isinstance(params, Train) else None
    values = redacted_values(params.model_dump(mode="json", exclude=left_out))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def procedure(train: Train) -> str:
    """Return a sentence about how it was trained."""
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
    pairs = [("architecture", network.architecture), ("latent_dim", network.latent_dim)]
    values = train.model_dump(mode="json")
    return [*pairs, *((name, values[name]) for name in MAIN_HYPERPARAMETERS if values[name] is not None)]


def papers(network: Network, train: Train) -> list[str]:
    """Return the papers of the architecture and the objective."""
    names = (network.architecture, train.objective)
    return list(dict.fromkeys(PAPERS[name] for name in names if name in PAPERS))


def peculiar(metrics: Mapping[str, Any], unpinned: Mapping[str, Mapping[str, str]]) -> str:
    """Say what makes these bits others than the pinned packages give on any processor; as a rule nothing."""
    sentences = []
    if unpinned:
        by_stage = [
            f"{stage} with {', '.join(f'{name} {version}' for name, version in other.items())}"
            for stage, other in unpinned.items()
        ]
        sentences.append(f"Not made with the pinned packages: {'; '.join(by_stage)}.")
    if metrics.get("bits_of"):
        sentences.append(f"Its bits are those of one kind of machine: {metrics['bits_of']}.")
    return " ".join(sentences)


def features(metrics: Mapping[str, Any], extractor: Mapping[str, Any]) -> str:
    """Return the name of the network whose features the metrics use."""
    kind = metrics.get("features", "extractor")
    if kind == "inception":
        return "the standard Inception network"
    if kind == "dinov2":
        return "DINOv2"
    if kind == "efficientnet":
        return "EfficientNet-Lite0, trained on ImageNet"
    right = f"{extractor['accuracy']:.1%} of held-out {extractor['task']} correct"
    return f"the pipeline's own extractor ({right})"


def facts(metrics: Mapping[str, Any], expectations: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the few figures shown beside the samples."""
    wanted = (
        ("fd_semantic", "Fréchet distance, semantic"),
        ("fd_texture", "Fréchet distance, texture"),
        ("two_sample_accuracy", "Told from real images by a classifier"),
        ("coverage", "Coverage: real images with a sample nearby"),
        ("memorised", "Samples suspiciously near a training image"),
    )
    rows = []
    for key, name in wanted:
        value, floor = known(metrics, key), known(metrics, f"{key}_floor")
        if value is not None:
            note = "" if floor is None else f"real images: {_share(key, floor)}"
            rows.append({"name": name, "value": _share(key, value), "note": note})
    held = sum(bool(row["success"]) for row in expectations)
    if expectations and len(rows) < len(wanted):
        rows.append(
            {
                "name": "Data expectations that hold",
                "value": f"{held}",
                "note": f"of {len(expectations)}",
            }
        )
    return rows


def _share(key: str, value: float) -> str:
    return f"{value:.3g}" if key.startswith("fd_") else f"{100 * value:.3g} %"


def memorisation(metrics: Mapping[str, Any]) -> str:
    """Return the rule by which samples are flagged as memorised, and how many are; empty if not measured."""
    value = known(metrics, "memorised")
    if value is None:
        return ""
    text = (
        "A sample is flagged if it is nearer to a training image than only one held-out image in a thousand "
        "would be, relative to the distances between training images there. "
        f"{100 * value:.3g} % of the samples are flagged"
    )
    if between := interval(metrics, "memorised"):
        text += f" (95 % interval {number(100 * max(0.0, between[0]))} to {number(100 * between[1])} %)"
    if (floor := known(metrics, "memorised_floor")) is not None:
        text += f"; by the same rule, {100 * floor:.3g} % of real images are"
    if (pixels := known(metrics, "memorised_pixels")) is not None:
        text += f". Compared by pixels: {100 * pixels:.3g} %"
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


def size_words(count: int) -> str:
    """Return a number of bytes as people say it."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
