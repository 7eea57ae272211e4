"""The model card: front matter that YAML reads, and names that stay names."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, metadata_load
from huggingface_hub.utils import validate_repo_id

from gan.data.datasets import SOURCES
from gan.errors import UserError
from gan.report import model_card
from gan.stages import report
from tests.conftest import SMALL, set_params
from tests.report.run import make_run, metrics
from tests.stages.project import ENVIRONMENT, Project


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
    assert "datasets" not in front  # the Hub has none of that name
    (model,) = front["model-index"]
    assert len(model["name"]) < 100
    values = {row["type"]: row["value"] for row in model["results"][0]["metrics"]}
    expected = {key: value for key, value in metrics().items() if key in values}
    assert values == expected
    assert {"fd_semantic", "recall", "memorised", "probe_accuracy"} <= set(values)
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
    assert "ganflow sample --model models/generator.safetensors --count 100 --seed 0 --out DIR" in rest
    tables = [line for line in rest.splitlines() if line.startswith("| ")]
    cells = [line.replace("\\|", "").count("|") - 1 for line in tables]
    assert set(cells) <= {2, 3, 6}


@pytest.mark.parametrize(
    ("hostile", "source"), [(True, ""), (False, "digits"), (False, "svhn"), (False, "~/Fotos ü/ordner")]
)
def test_the_hubs_own_library_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: bool, source: str
) -> None:
    """Offline: what `ModelCard.validate` asks the Hub for is the same metadata."""
    make_run(tmp_path, hostile=hostile)
    if not hostile:
        set_params(tmp_path, data__source=source)
    monkeypatch.chdir(tmp_path)
    report.main()
    path = tmp_path / "reports" / "model_card.md"
    front = yaml.safe_load(path.read_text().split("---\n")[1])
    assert metadata_load(path) == front
    card = ModelCard.load(path, ignore_metadata_errors=False)
    assert card.text.lstrip().startswith("# ")
    assert card.data.to_dict() == front
    assert yaml.safe_load(card.data.to_yaml()) == front
    results = {result.metric_type: result for result in card.data.eval_results}
    assert {key: result.metric_value for key, result in results.items()} == {
        key: value for key, value in metrics().items() if key in results
    }
    for result in results.values():
        assert result.task_type == front["pipeline_tag"]
    for name in front.get("datasets", []):
        validate_repo_id(name)
        assert name.count("/") == 1


@pytest.mark.parametrize("name", report.HUB_IDS)
def test_each_data_set_has_an_id_as_the_hub_wants_it(name: str) -> None:
    assert name in SOURCES
    validate_repo_id(report.HUB_IDS[name])
    assert report.HUB_IDS[name].count("/") == 1


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_a_model_that_is_none_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    model = tmp_path / "generator.safetensors"
    if content is not None:
        model.write_bytes(content)
    with pytest.raises(UserError, match=f"^{model}: (no such file|not a model file of this project)"):
        model_card.config(model)


def test_a_set_that_the_hub_has_goes_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_params(make_run(tmp_path), data__source="cifar10")
    monkeypatch.chdir(tmp_path)
    report.main()
    front = yaml.safe_load((tmp_path / "reports" / "model_card.md").read_text().split("---\n")[1])
    assert front["datasets"] == ["uoft-cs/cifar10"]
    assert front["model-index"][0]["results"][0]["dataset"]["type"] == "uoft-cs/cifar10"


@pytest.mark.parametrize("publish", [False, True])
def test_names_of_files_are_published_only_if_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: bool
) -> None:
    set_params(make_run(tmp_path), report__publish_sources=publish)
    monkeypatch.chdir(tmp_path)
    report.main()
    inventory = json.loads((tmp_path / "data" / "raw" / "inventory.json").read_text())
    card = (tmp_path / "reports" / "model_card.md").read_text()
    for file in inventory["files"]:
        assert (file["sha256"] in card) == publish
        assert (model_card.code(file["path"]) in card) == publish
    assert "this page shows training images" in (tmp_path / "reports" / "index.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("latents", ["normal", "uniform"])
def test_its_python_draws_images(tmp_path: Path, latents: str) -> None:
    project = Project(tmp_path / "p", network__latent_distribution=latents, **SMALL)
    stages = "download prepare validate train extractor select sample evaluate report"
    project.run(*stages.split())
    argv = [sys.executable, "-m", "gan.export", "--model", "models/generator.safetensors", "--out"]
    subprocess.run([*argv, "generator.onnx"], cwd=project.path, env=ENVIRONMENT, check=True)
    card = (project.path / "reports" / "model_card.md").read_text()
    loading, code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len([line for line in loading.splitlines() if line]) == 3
    loading += "assert images.shape == (16, 32, 32, 1) and images.dtype == 'uint8' and images.std() > 0\n"
    models = project.path / "models"
    subprocess.run([sys.executable, "-c", loading], cwd=models, env=ENVIRONMENT, check=True)
    assert (models / "samples.png").is_file()
    code += (
        "assert images.shape == (16, 1, 32, 32) and images.dtype == np.float32 and abs(images).max() <= 1\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=project.path, check=True)


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("plain name", "plain name"),
        ("a\n# title", "a \\# title"),
        ("<img src=x> [a](b) *c* `d` | e", "\\<img src=x\\> \\[a\\]\\(b\\) \\*c\\* \\`d\\` \\| e"),
        ("x\u202ey\x00z", "x y z"),
    ],
)
def test_nothing_in_a_name_is_markup(name: str, escaped: str) -> None:
    assert model_card.text(name) == escaped


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("a.png", "`a.png`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a|b\nc", "`a\\|b c`")],
)
def test_a_name_as_code(name: str, escaped: str) -> None:
    assert model_card.code(name) == escaped


def test_a_long_name_keeps_its_ends() -> None:
    shortened = model_card.cut("begin" + "x" * 1000 + "end.png")
    assert len(shortened) == model_card.LONGEST
    assert shortened.startswith("begin")
    assert shortened.endswith("end.png")
