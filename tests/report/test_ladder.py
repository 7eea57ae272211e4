"""The first sentence, on images from real ones to noise: what it says orders as an eye would."""

import pytest
import torch

from benchmarks.ladder import compared, spoilt
from gan import devices
from gan import params as parameters
from gan.extractor.classifier_training import train_extractor
from gan.report.headline import LAST, RUNGS, details, realism, verdict
from tests.conftest import DEFAULTS

pytestmark = pytest.mark.slow

CLOSE, FAULTS, _ = (f"{words}." for _, words in RUNGS)
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
    return dict(compared(extractor, images[:359], images[359:718], spoilt(images[718:1077]), params.evaluate))


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


def test_the_words_are_those_of_who_looks(ladder: dict[str, dict[str, float]]) -> None:
    sentences = {name: verdict(metrics) for name, metrics in ladder.items()}
    assert sentences["real images"] == ALIKE
    assert {sentences[name] for name in ("blur of 0.7 pixels", "noise of 5 %")} <= {CLOSE, FAULTS}
    bad = (
        "blur of 3.0 pixels",
        "noise of 40 %",
        "half of them noise",
        "noise alone",
        "the mean image, noisy",
    )
    assert {sentences[name] for name in (*bad, "quarters exchanged")} == {LAST + "."}
    assert sentences["16 images, repeated"] not in (ALIKE, CLOSE)


def test_few_images_repeated_are_named(ladder: dict[str, dict[str, float]]) -> None:
    metrics = ladder["16 images, repeated"]
    assert metrics["precision"] > 0.8  # which praises them
    assert "100 % of them nearly repeat another sample." in details(metrics)
