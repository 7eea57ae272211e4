"""The files that a run leaves for the report, small and made up, with every metric there may be."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from gan.data import images
from gan.metric_table import METRICS
from tests.conftest import DEFAULTS, set_params

HOSTILE = "a<b>&\"'\n|`$x_{*" + "long" * 60
STEPS = (10, 20, 30)


def metrics() -> dict[str, Any]:
    """Every key of reports/evaluation.json, its interval and its floor."""
    scores: dict[str, Any] = {"n": 359}
    for index, metric in enumerate(METRICS):
        value = 0.5 + index / 100
        scores |= {metric.key: value, f"{metric.key}_floor": 0.9}
        scores |= {f"{metric.key}_low": value - 0.05, f"{metric.key}_high": value + 0.1}
    scores |= {"memorised": 0.01, "memorised_low": 0.002, "memorised_high": 0.03, "memorised_floor": 0.012}
    scores |= {"memorised_pixels": 0.0, "memorised_pixels_low": 0.0, "memorised_pixels_high": 0.01}
    scores |= {"fd_semantic_scale": 128.0, "fd_texture_scale": 72.0, "two_sample_accuracy_floor": 0.5}
    return {**scores, "extractor_sha256": "ab" * 32, "features": "extractor"}


def make_run(folder: Path, *, hostile: bool = False, bare: bool = False) -> Path:
    """Fill a folder; ``hostile``: names that break pages; ``bare``: only what today's stages write."""
    rng = np.random.default_rng(0)
    name = HOSTILE if hostile else "digit"
    shutil.copy(DEFAULTS, folder / "params.yaml")
    if hostile:
        set_params(folder, data__source=f"https://user:secret@h/a<b>&{'long' * 60}.zip?token=secret")
    for path in ("samples", "models", "data/raw", "reports/fixed_latents", "reports/validation"):
        (folder / path).mkdir(parents=True)
    cells = rng.integers(0, 256, (3, 136, 136), dtype=np.uint8)
    images.write_png(folder / "samples" / "grid.png", cells, labels=None if bare else [name, "1"] * 50)
    for path in (
        "samples/interpolation",
        *(f"reports/fixed_latents/step-{s:09d}" for s in STEPS),
    ):
        picture(rng).save(folder / f"{path}.png")
    config = {"classes": [name, "1"]}
    save_file({}, folder / "models" / "generator.safetensors", {"config": json.dumps(config)})
    scores = metrics()
    if bare:
        names = ("n", "fd_semantic", "fd_semantic_floor", "precision", "recall", "extractor_sha256")
        scores = {key: scores[key] for key in names} | {"precision_sd": 0.02}
    else:
        frames = [picture(rng) for _ in range(6)]
        frames[0].save(
            folder / "samples" / "interpolation.webp",
            save_all=True,
            append_images=frames[1:],
            duration=80,
            loop=0,
        )
        (folder / "reports" / "neighbours").mkdir()
        for path in ("nearest", "flagged"):
            picture(rng).save(folder / "reports" / "neighbours" / f"{path}.png")
        (folder / "reports" / "validation" / "index.html").write_text(
            "<!doctype html><title>validation</title>"
        )
    write(folder / "reports" / "evaluation.json", scores)
    write(folder / "reports" / "extractor.json", {"task": "labels", "accuracy": 0.99})
    rows = [f"{step},{64 * step},{5 - i},{3 - i},{int(i == 1)}" for i, step in enumerate(STEPS)]
    table(folder / "reports" / "selection.csv", "step,images_seen,fd_semantic,fd_texture,selected", rows)
    columns = "step,images_seen,loss_d,loss_g,d_real,d_fake,learning_rate,augment_p"
    rows = [f"{step},{64 * step},1,{1 + step / 50},0.6,0.4,0.0005,1" for step in range(5, 35, 5)]
    table(folder / "reports" / "training.csv", columns, rows)
    quoted = '"' + name.replace('"', '""') + '"'
    table(folder / "reports" / "classes.csv", "class,held_out,generated", [f"{quoted},0.5,0.4", "1,0.5,0.6"])
    write(folder / "reports" / "validation" / "result.json", validation(name, hostile))
    write(folder / "data" / "raw" / "inventory.json", inventory(name))
    return folder


def picture(rng: np.random.Generator) -> Image.Image:
    """A grid's worth of pixels."""
    return Image.fromarray(rng.integers(0, 256, (136, 136, 3), dtype=np.uint8))


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def table(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows, ""]))


def validation(name: str, fails: bool) -> dict[str, Any]:
    row = {
        "severity": "warning",
        "observed": name,
        "limit": "at most 0.05",
        "unexpected_count": 0,
        "examples": [],
    }
    return {
        "success": not fails,
        "worst": None,
        "statistics": {
            "train": 1438,
            "test": 359,
            "refused": 1,
            "refused_by_reason": {name: 1},
        },
        "expectations": [
            {**row, "name": "every image can be read", "success": True},
            {**row, "name": f"share of {name}", "success": not fails},
        ],
    }


def inventory(name: str) -> dict[str, Any]:
    file = {
        "path": f"{name}.png",
        "bytes": 57523,
        "sha256": "0f" * 32,
        "origin": "https://u:secret@h/x?key=secret",
    }
    return {"source": "digits", "kind": "folder", "licence": "CC BY 4.0", "files": [file], "skipped": []}
