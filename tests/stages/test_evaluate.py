"""Stage evaluate on small sets: what is measured, what is left out, the same bytes again."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from gan import params
from gan.data.arrays import write_header
from gan.errors import UserError
from gan.extractor.classifier import Extractor
from gan.metric_table import BESIDE
from gan.networks import build
from gan.networks.model_file import save
from gan.stages import evaluate
from tests.conftest import DEFAULTS, set_params

CLASSES = ("cat", "dog", "owl")
SMALL = {
    "network__base_channels": 4,
    "network__hidden_units": 16,
    "train__threads": 1,
    "train__device": "cpu",
}
BY_CLASS = {"class_score", "label_divergence", "mode_coverage", "probe_accuracy"}
ALWAYS = {"fd_semantic", "fd_texture", "kd_semantic", "kd_texture", "precision", "recall", "density"}
ALWAYS |= {"coverage", "path_smoothness"}
OF_COPIES = {"memorised", "memorised_pixels", "authenticity"}


def pictures(count: int, seed: int, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(CLASSES), (count,), generator=rng)
    coarse = torch.rand(count, channels, 6, 6, generator=rng) * 120 + 60 * labels[:, None, None, None]
    return torch.nn.functional.interpolate(coarse, 32).to(torch.uint8), labels


def write(path: Path, images: torch.Tensor, labels: torch.Tensor | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        write_header(
            file,
            tuple(images.shape),
            None if labels is None else labels.numpy(),
            None if labels is None else CLASSES,
        )
        file.write(images.numpy().tobytes())


def make(
    folder: Path, sizes: tuple[int, int, int], labelled: bool = True, channels: int = 1, **values: object
) -> None:
    """Write what the stage reads: ``sizes`` of training, held-out and drawn images."""
    (folder / "params.yaml").write_bytes(DEFAULTS.read_bytes())
    set_params(folder, **{**SMALL, **values})
    for i, (name, size) in enumerate(
        zip(("data/prepared/train", "data/prepared/test", "samples/samples"), sizes, strict=True)
    ):
        images, labels = pictures(size, i, channels)
        known = labelled and not name.startswith("samples")
        write(folder / f"{name}.safetensors", images, labels if known else None)
    network = params.load(folder / "params.yaml").network
    count = len(CLASSES) if labelled else 0
    shared = {"network": network.model_dump(), "image_size": 32, "channels": channels, "images_seen": 9}
    config = {**shared, "class_counts": [sizes[0] // 3] * 3 if labelled else None}
    generator = build.build_generator(network, 32, channels, count)
    discriminator = build.build_discriminator(network, 32, channels, count)
    for model in (generator, discriminator):
        build.initialise(model, 0, "test")
    if network.spectral_norm:
        build.normalise_spectrally(discriminator, 0)
    save(folder / "models/generator.safetensors", generator.state_dict(), config)
    weights = {f"discriminator.{name}": tensor for name, tensor in discriminator.state_dict().items()}
    save(folder / "models/final.safetensors", weights, config)
    torch.manual_seed(0)
    classes = list(CLASSES) if labelled else ["0", "90", "180", "270"]
    extractor = Extractor(channels, len(classes), 120.0, 60.0)
    about = {"task": "labels" if labelled else "rotation", "classes": classes, "channels": channels}
    save(folder / "models/extractor.safetensors", extractor.state_dict(), about)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.chdir(folder)
    threads = torch.get_num_threads()
    try:
        evaluate.main()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    return json.loads((folder / "reports/evaluation.json").read_text())


def figures(scores: dict[str, object]) -> set[str]:
    """Return the metrics, without what stands behind their names."""
    marks = (*BESIDE, "extractor_sha256", "features")
    return {key for key in scores if not key.endswith(marks) and key != "n"}


def test_every_figure_has_its_interval_and_the_same_bytes_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, (160, 150, 170))
    scores = run(tmp_path, monkeypatch)
    infinite = {"fd_semantic_infinity", "fd_texture_infinity"}
    assert figures(scores) >= ALWAYS | BY_CLASS | OF_COPIES | {"duplicates", "two_sample_accuracy"}
    assert figures(scores) <= ALWAYS | BY_CLASS | OF_COPIES | {"duplicates", "two_sample_accuracy"} | infinite
    assert scores["n"] == 150
    assert scores["features"] == "extractor"
    for key in figures(scores):
        assert scores[f"{key}_low"] <= scores[key] <= scores[f"{key}_high"], key
        if key not in ("probe_accuracy", "path_smoothness"):
            assert f"{key}_floor" in scores, key
    table = pd.read_csv(tmp_path / "reports/neighbours/neighbours.csv")
    assert table["sample"].tolist() == list(range(170))
    classes = pd.read_csv(tmp_path / "reports/classes.csv")
    assert classes["class"].tolist() == list(CLASSES)
    before = {path: path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file()}
    run(tmp_path, monkeypatch)
    assert {p: p.read_bytes() for p in (tmp_path / "reports").rglob("*") if p.is_file()} == before


def test_copies_are_flagged_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, (90, 60, 60))
    train, _ = pictures(90, 0, 1)
    drawn, _ = pictures(60, 2, 1)
    drawn[10:16] = train[20:26]
    write(tmp_path / "samples/samples.safetensors", drawn, None)
    scores = run(tmp_path, monkeypatch)
    assert scores["memorised"] == pytest.approx(0.1)
    assert scores["memorised_pixels"] == pytest.approx(0.1)
    table = pd.read_csv(tmp_path / "reports/neighbours/neighbours.csv")
    flagged = table[table["flagged_pixels"] == 1]
    assert flagged["sample"].tolist() == list(range(10, 16))
    assert flagged["train_pixels"].tolist() == list(range(20, 26))
    with Image.open(tmp_path / "reports/neighbours/flagged.png") as picture:
        sheet = np.asarray(picture)
    columns, rows = (side // 34 + 1 for side in reversed([sheet.shape[0] - 32, sheet.shape[1] - 32]))
    assert (columns, rows) == (8, 12)  # six by features, six by pixels
    for row in range(6):
        top = 34 * row
        assert np.array_equal(sheet[top : top + 32, :32], sheet[top : top + 32, 34:66])  # it and its original
    write(tmp_path / "samples/samples.safetensors", pictures(60, 2, 1)[0], None)
    assert run(tmp_path, monkeypatch)["memorised"] == 0
    names = {path.name for path in (tmp_path / "reports/neighbours").iterdir()}
    assert names == {"nearest.png", "neighbours.csv"}


def test_a_few_images_are_measured_as_far_as_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, (24, 6, 16))
    scores = run(tmp_path, monkeypatch)
    assert scores["n"] == 6
    assert figures(scores) == ALWAYS | BY_CLASS
    (table,) = (tmp_path / "reports/neighbours").iterdir()
    assert table.read_text() == "sample\n"


@pytest.mark.parametrize("architecture", ["dcgan", "resnet", "mlp"])
@pytest.mark.parametrize("labelled", [True, False])
def test_every_network_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, labelled: bool
) -> None:
    make(
        tmp_path,
        (40, 20, 20),
        labelled=labelled,
        channels=3,
        network__architecture=architecture,
        network__spectral_norm=architecture != "mlp",
        network__dense_units=8 * (architecture == "dcgan"),
    )
    scores = run(tmp_path, monkeypatch)
    assert figures(scores) == (ALWAYS | BY_CLASS if labelled else ALWAYS)


def test_no_set_is_looked_at_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, (80, 70, 90), evaluate__max_images=40)
    assert run(tmp_path, monkeypatch)["n"] == 40
    assert len(pd.read_csv(tmp_path / "reports/neighbours/neighbours.csv")) == 40


def test_too_few_images_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, (40, 5, 40), evaluate__nearest_k=5)
    with pytest.raises(UserError, match=r"evaluate\.nearest_k: 5: needs 6 images or more .*, and 5 can be"):
        run(tmp_path, monkeypatch)


def test_weights_that_are_not_there_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"evaluate__weights": "none.pth", "evaluate__weights_sha256": "1" * 64}
    make(tmp_path, (40, 20, 40), evaluate__features="inception", **weights)
    with pytest.raises(UserError, match=r"evaluate\.weights: none\.pth: no such file"):
        run(tmp_path, monkeypatch)
    assert not (tmp_path / "reports").exists()


def test_a_published_network_takes_the_extractor_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DINOv2's layout with random weights: one feature vector, no texture, no classes of its own."""
    from gan.networks import dinov2

    torch.manual_seed(0)
    state = dinov2.VisionTransformer(64, 1, 1 + 16 * 16).state_dict()
    torch.save({name: torch.randn_like(value) * 0.2 for name, value in state.items()}, tmp_path / "vit.pth")
    from gan.files import sha256_file

    known = sha256_file(tmp_path / "vit.pth")
    weights = {"evaluate__weights": "vit.pth", "evaluate__weights_sha256": known}
    make(tmp_path, (40, 36, 40), evaluate__features="dinov2", **weights)
    scores = run(tmp_path, monkeypatch)
    expected = {key for key in ALWAYS | BY_CLASS | OF_COPIES if "texture" not in key} | {
        "duplicates",
        "two_sample_accuracy",
    }
    assert figures(scores) - {"fd_semantic_infinity"} == expected - {"class_score"}
    assert scores["extractor_sha256"] == known
    assert scores["features"] == "dinov2"


@pytest.mark.slow
def test_efficientnet_measures_by_weights_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gan.networks import efficientnet_lite

    make(tmp_path, (40, 36, 40), evaluate__features="efficientnet")
    scores = run(tmp_path, monkeypatch)
    assert {"fd_semantic", "kd_semantic", "memorised", "class_score"} <= figures(scores)
    assert not any("texture" in key for key in figures(scores))
    assert (scores["features"], scores["extractor_sha256"]) == ("efficientnet", efficientnet_lite.SHA256)
    assert (tmp_path / efficientnet_lite.KEPT).is_file()
