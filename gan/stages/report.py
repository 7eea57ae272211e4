"""Stage report: one page that needs nothing but itself, and a model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gan import files
from gan import params as parameters
from gan.data.network import shown
from gan.params import Params
from gan.report import card, metrics, page, plots, render, verdict, words
from gan.stage import run, say

REPORTS = Path("reports")
GENERATOR = Path("models/generator.safetensors")


def main() -> None:
    """Write reports/index.html and reports/model_card.md."""
    params = parameters.load()
    figures = collect(params)
    content, model_card = page.page(figures), page.model_card(figures)
    files.write_text(REPORTS / "index.html", content)
    files.write_text(REPORTS / "model_card.md", model_card)
    say("report", f"reports/index.html ({render.size_words(len(content.encode()))}), reports/model_card.md")


def collect(params: Params) -> dict[str, Any]:
    """Read what the stages before have written."""
    scores = files.read_json(REPORTS / "metrics.json")
    validation = files.read_json(REPORTS / "validation" / "result.json")
    inventory = files.read_json(Path("data/raw/inventory.json"))
    selection = pd.read_csv(REPORTS / "selection.csv")
    rows = metrics.metric_rows(scores)
    failed = [row for row in validation["expectations"] if not row["success"]]
    return {
        **about(params, selection),
        "verdict": verdict.verdict(scores, failed),
        "facts": words.facts(scores, validation["expectations"]),
        "metrics": rows,
        "metric_names": metrics.names(),
        "n": scores["n"],
        "features": words.features(scores, files.read_json(REPORTS / "extractor.json")),
        "own_features": scores.get("features", "extractor") == "extractor",
        "extractor_sha256": scores["extractor_sha256"],
        "generator_sha256": files.sha256_file(GENERATOR),
        "generator_size": render.size_words(GENERATOR.stat().st_size),
        "grid": render.picture(Path("samples/grid.png")),
        "interpolation": render.picture(Path("samples/interpolation.png")),
        "animation": render.picture(Path("samples/interpolation.webp")),
        "fixed_latents": fixed_latents(selection),
        "plots": curves(selection),
        **neighbours(scores),
        **data(params, inventory, validation["statistics"]),
        "expectations": [words.expectation(row) for row in validation["expectations"]],
        "validation_page": (REPORTS / "validation" / "index.html").is_file(),
        "front_matter": card.front_matter(
            words.title(params.network, params.data),
            words.source(params.data),
            ["gan", params.network.architecture],
            rows,
            scores,
        ),
    }


def about(params: Params, selection: pd.DataFrame) -> dict[str, Any]:
    """Say what the model is and what it was told."""
    told = {
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
        "title": words.title(params.network, params.data),
        "lead": f"Images of {size}×{size} pixels by a {params.network.architecture} generator, "
        f"published at step {published(selection)} of {int(selection['step'].max())}.",
        "architecture": params.network.architecture,
        "conditional": words.conditional(params.network),
        "latent_dim": params.network.latent_dim,
        "classes": params.network.conditional is True,
        "size": size,
        "params": {name: words.section(section) for name, section in told.items()},
        "procedure": words.procedure(params.train),
        "hyperparameters": words.hyperparameters(params.network, params.train),
        "papers": words.papers(params.network, params.train),
    }


def published(selection: pd.DataFrame) -> int:
    """Return the step of the published snapshot."""
    return int(selection.loc[selection["selected"] == 1, "step"].iloc[0])


def data(params: Params, inventory: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the images and where they come from."""
    return {
        "data": {
            "source": words.source(params.data),
            "licence": inventory.get("licence"),
            "reasons": list((statistics.get("refused_by_reason") or {}).items()),
            "skipped": len(inventory.get("skipped") or ()),
            **{key: statistics[key] for key in ("train", "test", "refused")},
        },
        "inventory": [
            {
                "path": card.cut(file["path"]),
                "size": render.size_words(file["bytes"]),
                "sha256": file["sha256"],
                "origin": card.cut(shown(file.get("origin") or "")),
            }
            for file in inventory["files"]
        ],
    }


def neighbours(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pictures of the nearest training images, and what was found."""
    folder = REPORTS / "neighbours"
    text = words.memorisation(scores)
    return {
        "neighbours": {
            "nearest": render.picture(folder / "nearest.png"),
            "flagged": render.picture(folder / "flagged.png"),
            "text": text,
        },
        "memorisation": text,
    }


def fixed_latents(selection: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the grids of the fixed latents, in the order of their steps."""
    best = published(selection)
    seen = dict(zip(selection["step"], selection["images_seen"], strict=True))
    return [
        {
            "step": (step := int(path.stem.removeprefix("step-"))),
            "selected": step == best,
            "note": f"after {seen[step]:,} images" if step in seen else "",
            "image": render.picture(path),
        }
        for path in sorted((REPORTS / "fixed_latents").glob("step-*.png"))
    ]


def curves(selection: pd.DataFrame) -> dict[str, str]:
    """Draw the page's plots; that of the classes is empty where there are none."""
    log = pd.read_csv(REPORTS / "training.csv")
    classes = pd.read_csv(REPORTS / "classes.csv", dtype={"class": str}, keep_default_na=False)
    scores = {"fd_semantic": "semantic", "fd_texture": "texture"}
    shares = {"held_out": "held out", "generated": "generated"}
    return {
        "losses": plots.lines(log, "step", {"loss_d": "discriminator", "loss_g": "generator"}, "loss"),
        "probabilities": plots.lines(log, "step", {"d_real": "D(x)", "d_fake": "D(G(z))"}, "probability"),
        "selection": plots.lines(selection, "step", scores, "Fréchet distance", log=True),
        "classes": plots.bars(classes, "class", shares, "share") if 0 < len(classes) <= 50 else "",
    }


if __name__ == "__main__":
    run("report", main)
