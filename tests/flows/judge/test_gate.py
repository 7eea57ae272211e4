"""What the gate decides, by figures put before it."""

from typing import Any

import pytest

from flows.judge.gate import Check, Decision, against_champion, own_checks
from flows.repo.model_versions import Version
from gan.params import Gate

GATE = Gate(confidence=0.95, min_gain=0.0, min_precision=0.3, min_recall=0.1, max_label_divergence=0.1)
CHAMPION = Version((1, 2, 0), "model@v1.2.0", "c" * 40)


def compared(difference: float, sd: float, texture: float = 0.0, texture_sd: float = 0.1) -> dict[str, Any]:
    def scores(value: float, spread: float) -> dict[str, float]:
        return {"candidate": 1.0 + value, "champion": 1.0, "difference": value, "difference_sd": spread}

    return {"semantic": scores(difference, sd), "texture": scores(texture, texture_sd)}


@pytest.mark.parametrize(
    ("difference", "sd", "holds"),
    [(-0.2, 0.1, True), (-0.19, 0.1, False), (-0.2, 0.2, False), (0.0, 0.0, False), (0.2, 0.01, False)],
)
def test_better_beyond_the_interval(difference: float, sd: float, holds: bool) -> None:
    semantic, texture = against_champion(GATE, compared(difference, sd), CHAMPION)
    assert semantic.holds is holds
    assert texture.holds
    assert f"against v1.2.0's 1, {difference:+.3g} ± {1.96 * sd:.2g}" in semantic.observed


def test_a_gain_that_is_asked_for() -> None:
    gate = GATE.model_copy(update={"min_gain": 0.25})
    assert not against_champion(gate, compared(-0.24, 0.01), CHAMPION)[0].holds
    assert against_champion(gate, compared(-0.26, 0.01), CHAMPION)[0].holds
    surer = GATE.model_copy(update={"confidence": 0.999})
    assert not against_champion(surer, compared(-0.26, 0.1), CHAMPION)[0].holds


def test_worse_close_up() -> None:
    _, texture = against_champion(GATE, compared(-1.0, 0.1, texture=0.3, texture_sd=0.1), CHAMPION)
    assert not texture.holds
    _, texture = against_champion(GATE, compared(-1.0, 0.1, texture=0.19, texture_sd=0.1), CHAMPION)
    assert texture.holds


@pytest.mark.parametrize(
    ("metrics", "faults", "failing"),
    [
        ({"precision": 0.3, "recall": 0.1, "label_divergence": 0.1}, [], []),
        ({"precision": 0.29, "recall": 0.1}, [], ["precision"]),
        ({"precision": 0.9}, [], ["recall"]),
        ({"precision": 0.9, "recall": None}, [], ["recall"]),
        ({"precision": float("nan"), "recall": 0.5}, [], ["precision"]),
        ({"precision": 0.9, "recall": 0.5, "label_divergence": 0.2}, [], ["label divergence"]),
        ({"precision": 0.9, "recall": 0.5}, ["no record of evaluate"], ["recorded"]),
    ],
)
def test_critical_checks(metrics: dict[str, Any], faults: list[str], failing: list[str]) -> None:
    assert [check.name for check in own_checks(GATE, metrics, faults) if not check.holds] == failing


def test_a_decision_in_words() -> None:
    bad = Check("recall", "0.05", "at least 0.1", False)
    refused = Decision("main", "a" * 40, "v1.2.0", [bad])
    assert refused.headline() == "main (aaaaaaaaaa): refused: recall: 0.05, wanted at least 0.1"
    assert refused.as_json()["promoted"] is False
    promoted = Decision("main", "a" * 40, "v1.2.0", [bad], "v1.3.0", "a demonstration")
    assert promoted.headline().startswith("main (aaaaaaaaaa): promoted as v1.3.0, in the place of v1.2.0, ")
    assert "regardless (a demonstration) of: recall" in promoted.headline()
    assert "FAILS  recall: 0.05, wanted at least 0.1" in promoted.message()
