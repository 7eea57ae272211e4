"""What is typed behind -S."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.repo.param_overrides import apply, parse_all
from gan.errors import UserError
from gan.params import load
from tests.conftest import DEFAULTS

TYPED = {
    "5": 5,
    "1e-4": 1e-4,
    "true": True,
    "null": None,
    "[1, 2]": [1, 2],
    "'5'": "5",
    '"a b"': "a b",
    "~/photos (1).zip": "~/photos (1).zip",
    "a #b": "a #b",
    "5 #b": "5 #b",
    "it's.zip": "it's.zip",
    "'x'.zip": "'x'.zip",
    "a: b": "a: b",
    "- a": "- a",
    "[a].zip": "[a].zip",
    "&a b": "&a b",
    "!x": "!x",
    "a=b, c": "a=b, c",
    " b ": " b ",
}


@pytest.mark.parametrize(("text", "value"), TYPED.items())
def test_text_needs_no_quotes_but_the_shells(text: str, value: Any) -> None:
    parsed = parse_all([f"network.depth={text}"])["network.depth"]
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("text", ["2024", "[photos]", "{x}", "null", "true", "1e3", "&x", "~", "0x10", "a,b"])
def test_what_is_text_stays_text_whatever_it_looks_like(text: str, tmp_path: Path) -> None:
    settings = parse_all([f"data.source={text}", f"train.init_from={text}"])
    assert settings["data.source"] == text
    assert settings["train.init_from"] == (None if text in ("null", "~") else text)
    shutil.copy(DEFAULTS, tmp_path / "params.yaml")
    apply(tmp_path, settings, "-S")
    assert load(tmp_path / "params.yaml").data.source == text


@pytest.mark.parametrize("texts", [["train.seed"], ["=5"], ["train.seed=1", "train.seed=2"]])
def test_what_is_no_setting_is_refused(texts: list[str]) -> None:
    with pytest.raises(UserError, match="-S"):
        parse_all(texts)
