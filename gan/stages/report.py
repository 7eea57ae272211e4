"""Stage report: one page that needs nothing but itself, and a model card."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gan import files
from gan import params as parameters
from gan.params import Params
from gan.report import plots, render
from gan.stage import run, say

REPORTS = Path("reports")


def main() -> None:
    """Write reports/index.html and reports/model_card.md."""
    params = parameters.load()
    figures = collect(params)
    files.write_text(REPORTS / "index.html", render.render("page.html.j2", figures))
    files.write_text(REPORTS / "model_card.md", render.render("model_card.md.j2", figures))
    say("report", "reports/index.html, reports/model_card.md")


def collect(params: Params) -> dict[str, Any]:
    """Read what the stages before have written."""
    metrics = files.read_json(REPORTS / "metrics.json")
    extractor = files.read_json(REPORTS / "extractor.json")
    validation = files.read_json(REPORTS / "validation" / "result.json")
    selection = pd.read_csv(REPORTS / "selection.csv")
    statistics = validation["statistics"]
    architecture, source = params.network.architecture, params.data.source
    best = int(selection.loc[selection["selected"] == 1, "step"].iloc[0])
    used = {"data": params.data, "network": params.network, "train": params.train}
    return {
        "title": f"{architecture.upper()} on {Path(source).name}",
        "lead": f"Images of {params.data.image_size}×{params.data.image_size} pixels by a {architecture} "
        f"generator, published at step {best} of {int(selection['step'].max())}.",
        "architecture": architecture,
        "metrics": render.metric_rows(metrics),
        "n": metrics["n"],
        "extractor": f"{extractor['accuracy']:.1%} of held-out {extractor['task']} right",
        "extractor_sha256": metrics["extractor_sha256"],
        "generator_sha256": files.sha256_file(Path("models/generator.safetensors")),
        "grid": render.data_address(Path("samples/grid.png")),
        "interpolation": render.data_address(Path("samples/interpolation.png")),
        "fixed_latents": fixed_latents(best),
        "plots": curves(selection),
        "expectations": validation["expectations"],
        "data": {"source": Path(source).name, **{k: statistics[k] for k in ("train", "test", "refused")}},
        "inventory": [
            {**file, "size": render.size_words(file["bytes"])}
            for file in files.read_json(Path("data/raw/inventory.json"))["files"]
        ],
        "params": yaml.safe_dump(
            {name: section.model_dump() for name, section in used.items()}, sort_keys=False
        ),
    }


def fixed_latents(best: int) -> list[dict[str, Any]]:
    """Return the grids of the fixed latents, in the order of their steps."""
    return [
        {
            "step": (step := int(path.stem.removeprefix("step-"))),
            "selected": step == best,
            "image": render.data_address(path),
        }
        for path in sorted((REPORTS / "fixed_latents").glob("step-*.png"))
    ]


def curves(selection: pd.DataFrame) -> dict[str, str]:
    """Draw the page's plots; that of the classes is empty where there are none."""
    log = pd.read_csv(REPORTS / "training.csv")
    classes = pd.read_csv(REPORTS / "classes.csv", dtype={"class": str})
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
