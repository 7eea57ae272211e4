"""The first sentence, on images from real ones to noise: what it says orders as an eye would."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.ladder import compared, spoilt
from gan import devices
from gan import params as parameters
from gan.extractor.classifier_training import train_extractor
from gan.report.headline import LAST, RUNGS, details, realism, verdict
from tests.conftest import DEFAULTS, ROOT

KEPT = sorted((ROOT / "docs" / "quality").glob("ladder-*.csv"))
CLOSE, FAULTS, ROUGH = (f"{words}." for _, words in RUNGS)
ALIKE = "The samples can hardly be told from real images."


@pytest.fixture(scope="module")
def ladder() -> dict[str, dict[str, float]]:
    """Metrics by the name of the images: scikit-learn's digits, and what spoils them."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images).float()[:, None] * 255 / 16
    images = torch.nn.functional.interpolate(small, 32, mode="bilinear").round().byte()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, labels = images[order], torch.from_numpy(digits.target).long()[order]
    params = parameters.load(DEFAULTS)
    settings = params.extractor.model_copy(update={"steps": 120})
    devices.set_threads("auto")
    extractor = train_extractor(images[359:], labels[359:], 10, settings, "cpu", lambda *_: None)
    sets = spoilt(images[718:], 359, labels[718:])
    return dict(compared(extractor, images[:359], images[359:718], sets, params.evaluate))


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        ("real images", "blur of 0.7 pixels", "blur of 1.5 pixels", "blur of 3.0 pixels", "noise alone"),
        ("real images", "noise of 5 %", "noise of 15 %", "noise of 40 %", "noise alone"),
    ],
)
def test_what_is_worse_is_farther(ladder: dict[str, dict[str, float]], names: tuple[str, ...]) -> None:
    distances = [realism(ladder[name]) or 0.0 for name in names]
    assert distances == sorted(distances)


@pytest.mark.slow
def test_the_words_are_those_of_who_looks(ladder: dict[str, dict[str, float]]) -> None:
    sentences = {name: verdict(metrics) for name, metrics in ladder.items()}
    assert sentences["real images"] == ALIKE
    assert {sentences[name] for name in ("blur of 0.7 pixels", "noise of 5 %")} <= {CLOSE, FAULTS}
    bad = (
        "blur of 3.0 pixels",
        "noise of 40 %",
        "half of them noise",
        "noise alone",
        "the mean image with noise",
    )
    assert {sentences[name] for name in (*bad, "quarters exchanged")} == {LAST + "."}
    assert sentences["16 images repeated"] not in (ALIKE, CLOSE)


@pytest.mark.slow
def test_few_images_repeated_are_named(ladder: dict[str, dict[str, float]]) -> None:
    metrics = ladder["16 images repeated"]
    assert metrics["precision"] > 0.8  # which praises them
    assert "100 % of them nearly repeat another sample." in details(metrics)


def rows(path: Path) -> dict[str, dict[str, float]]:
    """Return the figures of a kept ladder by the name of the images."""
    table = pd.read_csv(path).set_index("images").drop(columns=["distance", "verdict"])
    return {str(name): row.dropna().to_dict() for name, row in table.iterrows()}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_figures_give_the_kept_words(path: Path) -> None:
    assert {name: verdict(row) for name, row in rows(path).items()} == dict(
        pd.read_csv(path)[["images", "verdict"]].itertuples(index=False)
    )


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_words_never_get_better_as_images_get_worse(path: Path) -> None:
    order = [ALIKE, CLOSE, FAULTS, ROUGH, LAST + "."]
    ladder = rows(path)
    steps = [name for name in ladder if name.startswith("step ")]
    for kind in ("blur", "noise of"):
        names = ["real images", *(name for name in ladder if name.startswith(kind))]
        places = [order.index(verdict(ladder[name])) for name in names]
        assert places == sorted(places) and len(places) == 4
    assert realism(ladder[steps[-1]]) == min(realism(ladder[name]) or 0.0 for name in steps)
    assert verdict(ladder[steps[0]]) == LAST + "."
    good = {name for name, row in ladder.items() if verdict(row) in (ALIKE, CLOSE)}
    assert "real images" in good <= {"real images", "blur of 0.7 pixels", "noise of 5 %"}
