"""The page: complete, escaped, the same for the same figures, and nothing from elsewhere."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gan import metric_table
from gan.data import images
from gan.report import descriptions, embedded_pictures, plots
from gan.report.report_page import model_card
from gan.report.report_page import page as whole_page

METRICS = {"fd_semantic": 7.5012, "fd_semantic_floor": 3.1, "precision": 0.5, "label_divergence": 0.00123}


@pytest.fixture
def figures(tmp_path: Any) -> dict[str, Any]:
    picture = tmp_path / "a.png"
    images.write_png(picture, np.zeros((1, 4, 4), np.uint8))
    frame = pd.DataFrame({"step": [1, 2], "loss_d": [1.0, 0.5]})
    curve = plots.lines(frame, "step", {"loss_d": "discriminator"}, "loss")
    embedded = embedded_pictures.picture(picture)
    return {
        "title": "DCGAN on <script>alert(1)</script>",
        "lead": "Small images.",
        "verdict": "The samples are close to real images.",
        "details": "They do not repeat training images.",
        "facts": [],
        "architecture": "dcgan",
        "conditional": "without classes",
        "classes": False,
        "by_column": [],
        "labels": ["<i>", "1"],
        "columns": 2,
        "latent_dim": 100,
        "size": 32,
        "procedure": "By Adam.",
        "hyperparameters": [("epochs", 5)],
        "papers": [],
        "front_matter": "library_name: pytorch\n",
        "metrics": metric_table.metric_rows(METRICS),
        "n": 100,
        "features": "the pipeline's own extractor",
        "own_features": True,
        "extractor_sha256": "ab" * 32,
        "generator_sha256": "cd" * 32,
        "generator_size": "1 MB",
        "grid": embedded,
        "interpolation": embedded,
        "animation": None,
        "neighbours": {"nearest": None, "flagged": None, "text": ""},
        "memorisation": "",
        "fixed_latents": [{"step": 20, "selected": True, "note": "", "image": embedded}],
        "plots": {"losses": curve, "probabilities": curve, "selection": curve, "classes": ""},
        "expectations": [{"name": "n", "severity": "warning", "success": False, "observed": 1, "limit": 2}],
        "validation_page": False,
        "peculiar": "",
        "data": {
            "source": "digits",
            "licence": None,
            "reasons": [],
            "skipped": 0,
            "train": 80,
            "test": 20,
            "refused": 3,
        },
        "publish_sources": True,
        "inventory_sha256": "12" * 32,
        "uniform": False,
        "inventory": [{"path": "a.zip", "size": "1 kB", "sha256": "ef" * 32, "origin": ""}],
        "params": {"train": "seed: 0\n"},
    }


def test_the_page_shows_the_figures_and_escapes_what_it_is_given(figures: dict[str, Any]) -> None:
    page = whole_page(figures)
    for text in (
        "7.5<",
        "3.1<",
        "0.00123",
        "80 training and 20 held-out",
        "3 refused",
        "step 20, published",
        "a.zip",
    ):
        assert text in page
    assert "<script>" not in page
    assert '<span class="warned">warns</span>' in page


def test_the_page_asks_nobody_for_anything(figures: dict[str, Any]) -> None:
    page = whole_page(figures)
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)[^"'>)]+""", page)
    assert "@import" not in page


def test_the_card_is_markdown_with_its_figures(figures: dict[str, Any]) -> None:
    card = model_card(figures)
    assert card.startswith("---\n")
    assert "| Fréchet distance, semantic | 7.5 | 3.1 |" in card
    assert "cd" * 32 in card


def test_a_missing_figure_is_an_error(figures: dict[str, Any]) -> None:
    del figures["n"]
    with pytest.raises(jinja2.UndefinedError):
        whole_page(figures)


def test_a_curve_of_one_point_shows_it() -> None:
    one = pd.DataFrame({"step": [50], "loss_d": [1.0]})
    two = pd.DataFrame({"step": [50, 100], "loss_d": [1.0, 2.0]})
    marks = [
        plots.lines(frame, "step", {"loss_d": "D"}, "loss").count("fill: var(--one)") for frame in (one, two)
    ]
    assert marks == [2, 0]  # in the chart and in its legend


def test_plots_repeat_to_the_byte() -> None:
    frame = pd.DataFrame({"step": [1, 2, 3], "a": [3.0, 1.0, 2.0], "b": [1.0, 2.0, 4.0]})
    drawn = [plots.lines(frame, "step", {"a": "A", "b": "B"}, "y", log=True) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith("<svg")
    classes = pd.DataFrame({"class": ["x", "y"], "held_out": [0.5, 0.5], "generated": [0.4, 0.6]})
    bars = [
        plots.bars(classes, "class", {"held_out": "real", "generated": "fake"}, "share") for _ in range(2)
    ]
    assert bars[0] == bars[1]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (57523, "57.5 kB"), (1.7e8, "170 MB")]
)
def test_bytes_in_words(count: int, text: str) -> None:
    assert descriptions.size_words(count) == text


def test_a_large_picture_is_shown_smaller_and_moves_as_it_did(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 3, 128, 128)).astype(np.uint8)
    path = tmp_path / "a.webp"
    path.write_bytes(images.animation_bytes(noise, made_by="0" * 64))
    embedded = embedded_pictures.picture(path)
    assert embedded is not None
    content = base64.b64decode(embedded["address"].partition(",")[2])
    assert len(content) < path.stat().st_size / 2
    with Image.open(path) as before, Image.open(io.BytesIO(content)) as after:
        assert (after.n_frames, after.size) == (before.n_frames, before.size)
        before.load(), after.load()
        assert after.info["duration"] == before.info["duration"] > 0
    assert embedded_pictures.picture(path) == embedded
