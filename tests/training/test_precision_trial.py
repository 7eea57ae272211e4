"""The trial that tells how fast bfloat16 is beside float32."""

import time

import pytest
import torch

from gan.stages import train
from gan.training import precision_trial
from gan.training.precision_trial import bf16_speed
from tests.training.conftest import MakeLoop


class Paced:
    """A trainer whose step takes as long as it is told."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def step(self, *_: object) -> None:
        time.sleep(self.seconds)


def test_the_ratio_is_that_of_the_steps() -> None:
    pace = {torch.float32: 0.02, torch.bfloat16: 0.08}
    ratio = bf16_speed(lambda kind: Paced(pace[kind]), torch.empty(0), None)  # type: ignore[arg-type, return-value]
    assert ratio == pytest.approx(0.25, rel=0.3)


def test_a_trial_changes_nothing_of_the_training(make_loop: MakeLoop) -> None:
    loop, untried = make_loop("tried"), make_loop("untried")
    assert bf16_speed(loop.new_trainer, *loop.feed.batch(0)) > 0
    for one in (loop, untried):
        one.run(lambda *_: None)
    assert all(torch.equal(tensor, untried.models()[name]) for name, tensor in loop.models().items())


def test_only_a_slower_one_is_named(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = make_loop()
    for ratio, message in ((0.17, "bf16 has 0.17 times the speed of fp32 on this processor"), (1.4, "")):
        monkeypatch.setattr(train, "bf16_speed", lambda *_, ratio=ratio: ratio)
        train.warn_of_slow_bf16(loop)
        output = capsys.readouterr()
        assert message in output.out + output.err
        assert bool(message) == bool(output.out + output.err)
    assert precision_trial.STEPS >= 1
