"""Values changed in params.yaml: the value is what was asked for, and nothing else of the file changes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from flows.repo import params_file
from gan.errors import UserError
from gan.yaml12 import parse_yaml
from tests.conftest import DEFAULTS

LONG = "/data/" + "a rather long name of a folder/" * 9 + "photos"
TEXTS = [
    "~/photos (1).zip",
    "ü😀",
    "it's",
    "a,b",
    "a #1 = & ; | x",
    "a: b",
    "${oc.env:HOME}",
    "C:\\photos\\",
    "\\'",
    ' "quoted" ',
    "null",
    "yes",
    "5",
    "1e-4",
    "12:30",
    "2024-99-99",
    "~",
    "[a]",
    "{a: 1}",
    "- a",
    "x:",
    "",
    "two\nlines\r\n\t\x07\x85\u2028",
    LONG,
    LONG.replace(" ", "-"),
]
OTHERS = [5, 10**30, 1e-4, 1e-30, 1e30, -0.5, float("inf"), True, None, [], [1, "it's", LONG], {"a b": [1.5]}]


def changed(folder: Path, text: str, **values: Any) -> str:
    path = folder / "params.yaml"
    path.write_bytes(text.encode())
    params_file.change(path, {name.replace("__", "."): value for name, value in values.items()})
    return path.read_bytes().decode()


def check(folder: Path, value: Any) -> None:
    text = changed(folder, "data:\n  source: digits  # from\n  n: 1\n", data__source=value)
    for loaded in (parse_yaml(text), YAML(typ="safe").load(text)):  # the stages' loader, and DVC's
        assert repr(loaded) == repr({"data": {"source": value, "n": 1}})
    assert len(text.splitlines()) == 3 and text.splitlines()[1].endswith("  # from".lstrip())


@pytest.mark.parametrize("value", [*TEXTS, *OTHERS])
def test_the_value_is_what_was_asked_for(value: Any, tmp_path: Path) -> None:
    check(tmp_path, value)


@settings(max_examples=200, deadline=None)
@given(st.text("a1'\\ \"${}:,=#()[]~-&*!|>%@`\n\t", max_size=12))
def test_any_mix_of_signs(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    check(tmp_path_factory.getbasetemp(), text)


def test_only_the_line_of_the_value_changes(tmp_path: Path) -> None:
    """Long lines, quotes, blank lines and the other values keep their form, whatever it is."""
    long = f'data:\n    source:   "{LONG}" # where\n\n    sizes: [ 1,2 ]\n'
    rest = "train:\n  epochs: 10      # passes\n                  # over all\n"
    rest += "  names:\n  - 'a'\n  rate: 1.0E-4 # 1\n"
    expected = rest.replace("10      #", "2000    #")
    assert changed(tmp_path, long + rest, train__epochs=2000) == long + expected
    crlf = (long + rest).replace("\n", "\r\n")
    assert changed(tmp_path, crlf, train__epochs=2000) == (long + expected).replace("\n", "\r\n")


@pytest.mark.parametrize("recipe", sorted(DEFAULTS.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_param_of_every_recipe(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text()
    names = [f"{section}.{key}" for section, keys in parse_yaml(text).items() for key in keys]
    result = changed(tmp_path, text, **dict.fromkeys(names, LONG))
    lines = [(a, b) for a, b in zip(text.splitlines(), result.splitlines(), strict=True) if a != b]
    assert len(lines) == len(names) > 90
    for name, (before, after) in zip(names, lines, strict=True):
        key = name.partition(".")[2]
        assert after.startswith(f"  {key}: '{LONG}'") and before.startswith(f"  {key}: ")
        assert after.partition("#")[2] == before.partition("#")[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:\n  b:\n    digits  # folded by a library\n", "a:\n  b: 5  # folded by a library\n"),
        ("a:\n  b:\n  c: 1\n", "a:\n  b: 5\n  c: 1\n"),
        ("a:\n  b:  # nothing yet\n", "a:\n  b: 5 # nothing yet\n"),
        ("a:\n  b:\n  - 1\n  - 2\n\n# end\n", "a:\n  b: 5\n\n# end\n"),
        ("a:\n  b: |\n    text\n    more\n  c: 1\n", "a:\n  b: 5\n  c: 1\n"),
        ("a:\n  b: [1,\n    2]\n  c: 1\n", "a:\n  b: 5\n  c: 1\n"),
        ("a: {c: {b: 1}, b: 2}\n", "a: {c: {b: 1}, b: 5}\n"),
        ("x: &x 1\na:\n  b: *x\n", "x: &x 1\na:\n  b: 5\n"),
        ("a:\n  'b' : \"x\"\n", "a:\n  'b' : 5\n"),
        ("a:\n  b: 1", "a:\n  b: 5"),
        ("\ufeffa:\n  b: 1\n", "\ufeffa:\n  b: 5\n"),
    ],
)
def test_where_a_value_may_stand(before: str, after: str, tmp_path: Path) -> None:
    assert changed(tmp_path, before, a__b=5) == after


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: {c: 1}", "a.b: unknown key; correct its name"),
        ("a: 1", "a.b: unknown key"),
        ("", "a.b: unknown key"),
        ("a: [", "not valid YAML"),
        ("a: {b: 1, b: 2}", "stands twice"),
        ("a: {b: &x 1}\nc: *x", "anchor or alias"),
        ("x: &x {b: 1}\na: *x", "anchor or alias"),
    ],
)
def test_what_cannot_be_changed_is_one_line_and_the_file_stays(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says) as raised:
        changed(tmp_path, text, a__b=5)
    assert str(raised.value).startswith("params.yaml: ") and "\n" not in str(raised.value)
    assert (tmp_path / "params.yaml").read_text() == text
