"""Stage report: a self-contained page and a model card."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gan import files, metric_table, paths
from gan import params as parameters
from gan.params import Params
from gan.report import descriptions, headline, model_card, plots, report_page
from gan.report.embedded_pictures import LONGEST, labels, picture
from gan.runtime.packages import unpinned_packages
from gan.stage import run, say
from gan.urls import redacted

MOST_COLUMNS = 16  # of a grid whose cells have room for their classes
# What a data set is called on the Hugging Face Hub.
HUB_IDS = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "svhn": "ufldl-stanford/svhn",
}


def main() -> None:
    """Write reports/index.html and reports/model_card.md."""
    params = parameters.load()
    figures = collect(params)
    content, card = report_page.page(figures), report_page.model_card(figures)
    files.write_text(paths.REPORT, content)
    files.write_text(paths.MODEL_CARD, card)
    (files.RUNS / "report.html").unlink(missing_ok=True)  # flows.page completed an earlier run's
    size = descriptions.size_words(len(content.encode()))
    say("report", f"{paths.REPORT} ({size}), {paths.MODEL_CARD}")


def collect(params: Params) -> dict[str, Any]:
    """Return all figures of the page and the card, from the files of earlier stages."""
    scores = files.read_json(paths.EVALUATION)
    validation = files.read_json(paths.VALIDATION_RESULT)
    inventory = files.read_json(paths.INVENTORY)
    selection = pd.read_csv(paths.SELECTION)
    rows = metric_table.metric_rows(scores)
    config = model_card.config(paths.GENERATOR)
    return {
        **about(params, selection),
        "verdict": headline.verdict(scores),
        "details": " ".join([*headline.details(scores), *headline.warnings(validation["expectations"])]),
        "facts": descriptions.facts(scores, validation["expectations"]),
        "metrics": rows,
        "n": scores["n"],
        "features": descriptions.features(scores, files.read_json(paths.EXTRACTOR_RESULT)),
        "own_features": scores.get("features", "extractor") == "extractor",
        "extractor_sha256": scores["extractor_sha256"],
        "peculiar": descriptions.peculiar(scores, unpinned_packages([scores.get("unpinned", {})])),
        **classes(config.get("classes")),
        "generator_sha256": files.sha256_file(paths.GENERATOR),
        "generator_size": descriptions.size_words(paths.GENERATOR.stat().st_size),
        "grid": picture(paths.GRID),
        "labels": labels(paths.GRID) if params.sample.grid_size <= MOST_COLUMNS else [],
        "columns": params.sample.grid_size,
        "interpolation": picture(paths.INTERPOLATION),
        "animation": picture(paths.ANIMATION),
        "fixed_latents": fixed_latents(selection),
        "plots": curves(selection),
        **neighbours(scores),
        **data(params, inventory, validation["statistics"]),
        "expectations": [descriptions.expectation(row) for row in validation["expectations"]],
        "validation_page": paths.VALIDATION_PAGE.is_file(),
        "front_matter": model_card.front_matter(
            descriptions.title(params.network, params.data),
            descriptions.source(params.data),
            HUB_IDS.get(params.data.source),
            ["gan", params.network.architecture],
            rows,
            scores,
        ),
    }


def about(params: Params, selection: pd.DataFrame) -> dict[str, Any]:
    """Return what describes the model: title, network, params, training."""
    sections = {
        "data": params.data,
        "validate": params.validation,
        "network": params.network,
        "train": params.train,
        "extractor": params.extractor,
        "select": params.select,
        "sample": params.sample,
        "evaluate": params.evaluate,
    }
    size = params.data.image_size
    return {
        "title": descriptions.title(params.network, params.data),
        "lead": f"Images of {size}×{size} pixels by a {params.network.architecture} generator, "
        f"published at step {published(selection)} of {int(selection['step'].max())}.",
        "architecture": params.network.architecture,
        "uniform": params.network.latent_distribution == "uniform",
        "latent_dim": params.network.latent_dim,
        "size": size,
        "params": {name: descriptions.section(section) for name, section in sections.items()},
        "procedure": descriptions.procedure(params.train),
        "hyperparameters": descriptions.hyperparameters(params.network, params.train),
        "papers": descriptions.papers(params.network, params.train),
    }


def classes(names: Sequence[str] | None) -> dict[str, Any]:
    """Return how the published generator is conditioned, by its own record; ``names``: its classes."""
    count = len(names or ())
    columns = [model_card.cut(name, LONGEST) for name in names or ()] if 2 <= count <= MOST_COLUMNS else []
    how = f"by class, {count} of them" if count else "without classes"
    return {"classes": count, "by_column": columns, "conditional": how}


def published(selection: pd.DataFrame) -> int:
    """Return the step of the published snapshot."""
    return int(selection.loc[selection["selected"] == 1, "step"].iloc[0])


def data(params: Params, inventory: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known about the images and their source."""
    return {
        "data": {
            "source": descriptions.source(params.data),
            "licence": inventory.get("licence"),
            "reasons": list((statistics.get("refused_by_reason") or {}).items()),
            "skipped": len(inventory.get("skipped") or ()),
            **{key: statistics[key] for key in ("train", "test", "refused")},
        },
        "publish_sources": params.report.publish_sources,
        "inventory_sha256": files.sha256_file(paths.INVENTORY),
        "inventory": [
            {
                "path": model_card.cut(file["path"]),
                "size": descriptions.size_words(file["bytes"]),
                "sha256": file["sha256"],
                "origin": model_card.cut(redacted(file.get("origin") or "")),
            }
            for file in inventory["files"]
        ],
    }


def neighbours(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the images of the nearest training images, and the text about memorisation."""
    text = descriptions.memorisation(scores)
    return {
        "neighbours": {
            "nearest": picture(paths.NEIGHBOURS / "nearest.png"),
            "flagged": picture(paths.NEIGHBOURS / "flagged.png"),
            "text": text,
        },
        "memorisation": text,
    }


def fixed_latents(selection: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the grids of the fixed latents, ordered by step."""
    best = published(selection)
    seen = dict(zip(selection["step"], selection["images_seen"], strict=True))
    return [
        {
            "step": (step := int(path.stem.removeprefix("step-"))),
            "selected": step == best,
            "note": f"after {seen[step]:,} images" if step in seen else "",
            "image": picture(path),
        }
        for path in sorted(paths.FIXED_LATENTS.glob("step-*.png"))
    ]


def curves(selection: pd.DataFrame) -> dict[str, str]:
    """Draw the page's plots as SVG; the one of the classes is empty without classes."""
    log = pd.read_csv(paths.TRAINING)
    classes = pd.read_csv(paths.CLASSES, dtype={"class": str}, keep_default_na=False)
    scores = {"fd_semantic": "semantic", "fd_texture": "texture"}
    shares = {"generated": "generated", "held_out": "held out"}  # colours: samples, then real images
    return {
        "losses": plots.lines(log, "step", {"loss_d": "discriminator", "loss_g": "generator"}, "loss"),
        "probabilities": plots.lines(log, "step", {"d_fake": "D(G(z))", "d_real": "D(x)"}, "probability"),
        "selection": plots.lines(selection, "step", scores, "Fréchet distance", log=True),
        "classes": plots.bars(classes, "class", shares, "share") if 0 < len(classes) <= 50 else "",
    }


if __name__ == "__main__":
    run("report", main)
