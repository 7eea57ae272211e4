"""The model card: front matter that YAML reads, and names that stay names."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gan.report import card
from gan.stages import report
from tests.report.run import make_run, metrics


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: bool) -> tuple[dict[str, Any], str]:
    """Return the front matter and the rest."""
    monkeypatch.chdir(make_run(folder, **options))
    report.main()
    _, front, rest = (folder / "reports" / "model_card.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), rest


@pytest.mark.parametrize("hostile", [False, True])
def test_the_hub_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: bool) -> None:
    front, rest = written(tmp_path, monkeypatch, hostile=hostile)
    assert front["library_name"] == "pytorch"
    assert front["pipeline_tag"] == "unconditional-image-generation"
    assert front["tags"] == ["gan", "dcgan"]
    assert "license" not in front
    assert len(front["datasets"]) == 1
    (model,) = front["model-index"]
    assert len(model["name"]) < 100
    found = {row["type"]: row["value"] for row in model["results"][0]["metrics"]}
    expected = {key: value for key, value in metrics().items() if key in found}
    assert found == expected
    assert {"fd_semantic", "recall", "memorised", "probe_accuracy"} <= set(found)
    for title in (
        "Model details",
        "Uses",
        "Bias, risks and limitations",
        "How to get started",
        "Training details",
        "Evaluation",
        "Environmental impact",
        "Technical specifications",
        "Citation",
    ):
        assert f"\n## {title}\n" in rest
    assert "| Recall | " in rest
    assert "python -m gan.sample --model generator.safetensors --count 100 --seed 0 --out DIR" in rest
    tables = [line for line in rest.splitlines() if line.startswith("| ")]
    cells = [line.replace("\\|", "").count("|") - 1 for line in tables]
    assert set(cells) <= {2, 3, 6}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name", "plain name"),
        ("a\n# title", "a \\# title"),
        ("<img src=x> [a](b) *c* `d` | e", "\\<img src=x\\> \\[a\\]\\(b\\) \\*c\\* \\`d\\` \\| e"),
        ("x\u202ey\x00z", "x y z"),
    ],
)
def test_nothing_in_a_name_is_markup(name: str, shown: str) -> None:
    assert card.text(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.png", "`a.png`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a|b\nc", "`a\\|b c`")],
)
def test_a_name_as_code(name: str, shown: str) -> None:
    assert card.code(name) == shown


def test_a_long_name_keeps_its_ends() -> None:
    found = card.cut("begin" + "x" * 1000 + "end.png")
    assert len(found) == card.LONGEST
    assert found.startswith("begin")
    assert found.endswith("end.png")
