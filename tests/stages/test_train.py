"""Stage train says at its start what is likely to end in noise, and what to change."""

import re

import pytest

from gan import params
from gan.params import Train
from gan.stages.train import FEW_STEPS, cautions
from tests.conftest import DEFAULTS

TRAIN = params.load(DEFAULTS).train
PER_STEP = TRAIN.batch_size * TRAIN.d_steps


def steps(train: Train, images: int) -> int:
    """Return how many steps a training takes."""
    total = train.epochs * (images // PER_STEP)
    return total if train.max_steps is None else min(total, train.max_steps)


@pytest.mark.parametrize(
    "changes", [{"epochs": 80}, {"epochs": 3}, {"max_steps": 30}, {"epochs": 900, "max_steps": 30}]
)
def test_few_steps_are_named_and_the_advice_works(changes: dict[str, int]) -> None:
    train = TRAIN.model_copy(update=changes)
    (line,) = cautions(train, 120, PER_STEP, steps(train, 120))
    assert f"120 images, {train.epochs} epochs: {steps(train, 120)} steps are few" in line
    advised = {name: int(number) for name, number in re.findall(r"train\.(\w+) to (\d+)", line)}
    followed = train.model_copy(update=advised)
    assert advised
    assert steps(followed, 120) >= FEW_STEPS
    assert cautions(followed, 120, PER_STEP, steps(followed, 120)) == []


@pytest.mark.parametrize("name", ["learning_rate", "learning_rate_d"])
def test_a_learning_rate_beyond_all_that_is_known(name: str) -> None:
    (line,) = cautions(TRAIN.model_copy(update={name: 7.0}), 1438, PER_STEP, 1760)
    assert line == f"train.{name}: 7: GANs are known to train with Adam at 1e-06 to 0.01"


def test_the_default_run_has_none() -> None:
    assert cautions(TRAIN, 1438, PER_STEP, steps(TRAIN, 1438)) == []
