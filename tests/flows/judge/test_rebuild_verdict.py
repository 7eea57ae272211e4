"""How metrics are held to those recorded, and what the outputs together come to."""

import json

import pytest

from flows.judge.rebuild_verdict import (
    DIFFERENT,
    FAILED,
    IDENTICAL,
    NOT_MADE,
    NOT_RECORDED,
    WITHIN,
    Output,
    compare_metrics,
    first_stage,
    overall,
)


def text(**values: object) -> bytes:
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "within"),
    [
        (100.0, 104.0, 0.05, True),  # of its size
        (100.0, 106.0, 0.05, False),
        (0.001, 0.04, 0.05, True),  # of 1
        (0.001, 0.06, 0.05, False),
        (1.0, 1.0001, None, False),
        ("a", "b", 0.05, False),
        (1, None, 0.05, False),
    ],
)
def test_tolerance(old: object, new: object, tolerance: float | None, within: bool) -> None:
    assert compare_metrics(text(x=old), text(x=new), tolerance) == {f"x {old} -> {new}": within}


def test_hashes_have_verdicts_of_their_own() -> None:
    assert compare_metrics(text(model="a" * 64, x=1), text(model="b" * 64, x=1), None) == {}
    assert compare_metrics(text(x=1), text(x=1, bits_of="a GPU"), 0.05) == {}
    assert compare_metrics(text(x=1), b"not JSON", 0.05) is None
    assert compare_metrics(text(x={"y": 1}), text(x={"y": 2}), 0.05) == {"x.y 1 -> 2": False}
    assert compare_metrics(text(x=1), text(), 0.05) == {"x 1 -> absent": False}


@pytest.mark.parametrize(
    ("verdicts", "other_hardware", "expected"),
    [
        ([IDENTICAL, IDENTICAL], False, IDENTICAL),
        ([IDENTICAL, NOT_RECORDED], False, IDENTICAL),
        ([NOT_RECORDED, NOT_RECORDED], False, NOT_RECORDED),
        ([DIFFERENT, WITHIN], True, WITHIN),
        ([DIFFERENT, IDENTICAL], True, WITHIN),
        ([DIFFERENT, IDENTICAL], False, DIFFERENT),
        ([IDENTICAL, DIFFERENT], True, DIFFERENT),
        ([NOT_MADE, IDENTICAL], True, FAILED),
    ],
)
def test_overall(verdicts: list[str], other_hardware: bool, expected: str) -> None:
    paths = ("model", "metrics")
    outputs = [Output(path, path, verdict) for path, verdict in zip(paths, verdicts, strict=True)]
    assert overall(outputs, ["metrics"], other_hardware) == expected
    off = [
        path
        for path, verdict in zip(paths, verdicts, strict=True)
        if verdict not in (IDENTICAL, NOT_RECORDED)
    ]
    assert first_stage(outputs, paths) == (off[0] if off else None)


def test_without_metrics_nothing_is_within_tolerance() -> None:
    assert overall([Output("model", "train", DIFFERENT)], [], True) == DIFFERENT
