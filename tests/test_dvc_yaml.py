"""dvc.yaml names for each stage what it reads: its sources, and its params."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gan import paths
from gan.params import FREE, Data, Params
from tests.closure import closure, data_files, differences, dotted, parse
from tests.conftest import ROOT

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

UNTRACKED = {f"train.{name}" for name in FREE} | {"track.to"}


def test_a_stage_is_a_file_and_a_constant_command() -> None:
    for stage, content in STAGES.items():
        assert content["cmd"] == f"python -m gan.stages.{stage}"
    files = {path.stem for path in (ROOT / "gan" / "stages").glob("*.py")} - {"__init__"}
    assert files == set(STAGES)


def test_each_stage_names_its_sources() -> None:
    faults = differences(ROOT)
    assert not faults, "\n".join(
        [*faults, "`python -m tests.closure` prints what each stage's deps have to cover"]
    )


def test_only_what_training_is_made_of_retrains() -> None:
    folders = {"gan/training", "gan/networks", "gan/data"}
    code = [dep for dep in STAGES["train"]["deps"] if dep.startswith("gan/")]
    others = [dep for dep in code if dep not in folders and str(Path(dep).parent) not in {*folders, "gan"}]
    assert others == ["gan/stages/train.py"]


def test_dvc_yaml_fits_on_two_screens() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 160


def shared_paths() -> list[str]:
    return [str(path) for path in vars(paths).values() if isinstance(path, Path)]


def test_a_shared_path_is_named_once() -> None:
    for path in shared_paths():
        sources = [file for room in ("gan", "flows") for file in (ROOT / room).rglob("*.py")]
        naming = [file for file in sources if f'"{path}"' in file.read_text(encoding="utf-8")]
        assert naming == [ROOT / "gan" / "paths.py"], path


def test_dvc_yaml_has_the_paths_of_stages() -> None:
    """So that another path in gan/paths.py, which is no dep, is another dep or out."""
    known = set()
    for stage in STAGES.values():
        for row in (row for kind in ("deps", "outs", "metrics", "plots") for row in stage.get(kind, [])):
            known.add(row if isinstance(row, str) else next(iter(row)))
    made = [path for path in shared_paths() if "/" in path]
    assert len(made) > 20
    assert not [path for path in made if not any(f"{file}/".startswith(f"{path}/") for file in known)]


def test_every_data_file_of_gan_belongs_to_a_stage() -> None:
    stages = [ROOT / "gan" / "stages" / f"{stage}.py" for stage in STAGES]
    needed = {file for path in stages if path.is_file() for file in closure(path, ROOT)}
    assert {path.relative_to(ROOT).as_posix() for path in data_files(ROOT / "gan")} <= needed


def used_params(tree: ast.Module) -> Iterator[str]:
    """Yield SECTION or SECTION.FIELD for each use of a variable named `params`, in dvc.yaml's words."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in attributes}  # `params.train` within `params.train.seed`
    for node in attributes:
        if id(node) not in inner and (chain := dotted(node)).startswith("params."):
            if chain == "params.data.of_images":
                yield from (f"data.{field}" for field in Data.OF_IMAGES)
            else:
                yield _param(chain)


def _param(chain: str) -> str:
    _, section, *rest = chain.split(".")
    field = Params.model_fields[section]
    fields = getattr(field.annotation, "model_fields", {})
    word = field.alias or section
    return f"{word}.{rest[0]}" if rest and rest[0] in fields else word


def listed_params(stage: str) -> set[str]:
    return {param for param in STAGES[stage].get("params", []) if isinstance(param, str)}


def fields_of(section: str) -> set[str]:
    section_field = next(
        field for key, field in Params.model_fields.items() if (field.alias or key) == section
    )
    return {f"{section}.{field}" for field in getattr(section_field.annotation, "model_fields", {})}


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_names_its_params(stage: str) -> None:
    path = ROOT / "gan" / "stages" / f"{stage}.py"
    tree = parse(path)
    used, listed = set(used_params(tree)), listed_params(stage)
    assert not listed & UNTRACKED, "a param that no result depends on would make stages run again"
    if "train" in used:  # all that results depend on, one by one, so that the others are left out
        used = used - {"train"} | fields_of("train")
    used -= UNTRACKED
    lacking = {param for param in used if param not in listed and param.split(".")[0] not in listed}
    assert not lacking, f"dvc.yaml's {stage} lacks params that the stage reads: {lacking}"
    for param in listed:
        whole = "." not in param
        read = param in used or (whole and fields_of(param) <= used)
        assert read, f"dvc.yaml's {stage} lists {param}, which the stage does not read (whole)"


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_hands_all_params_to_the_library(stage: str) -> None:
    tree = parse(ROOT / "gan" / "stages" / f"{stage}.py")
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        handed = [*call.args, *(word.value for word in call.keywords)]
        if any(isinstance(value, ast.Name) and value.id == "params" for value in handed):
            assert dotted(call.func) in functions, (
                f"line {call.lineno}: hand over sections, which dvc.yaml can name"
            )


TOY = {
    "dvc.yaml": """
stages:
  train:
    cmd: python -m gan.stages.train
    deps: [data, gan/stages/train.py, gan/step.py, gan/old.py, gan/page.html, gan/deep/__init__.py,
      gan/room, gan/room/used.py, gan/unused]
    params: [train.seed, {packages.yaml: [numpy]}]
""",
    "gan/__init__.py": '"""Nothing but this."""',
    "gan/params/__init__.py": "",
    "gan/paths.py": "",
    "gan/old.py": "",
    "gan/page.html": "",
    "gan/stages/__init__.py": "",
    "gan/stages/train.py": "from gan import params, paths, step\nfrom gan.room import used\n"
    "def late():\n    from gan.deep import inner\n",
    "gan/step.py": 'import torch\nfrom .lib import thing\nPAGE = "page.html"\n',
    "gan/lib.py": "",
    "gan/room/used.py": "",
    "gan/room/other.py": "",
    "gan/unused/page.css": "",
    "gan/unused/thing.py": "",
    "gan/deep/__init__.py": "from . import sibling",
    "gan/deep/inner.py": "",
    "gan/deep/sibling.py": "",
}


def test_an_omitted_source_is_found(tmp_path: Path) -> None:
    for file, content in TOY.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content)
    assert differences(tmp_path) == [
        "stage train: deps lack gan/deep/inner.py, which it imports",
        "stage train: deps lack gan/deep/sibling.py, which it imports",
        "stage train: deps lack gan/lib.py, which it imports",
        "stage train: deps name gan/old.py, which it does not import",
        "stage train: deps name gan/unused, which it does not import",
        "stage train: deps name gan/room/used.py twice, in gan/room too",
        "stage train: packages lack torch, which it imports",
        "stage train: packages name numpy, which it does not import",
    ]


def test_params_are_read_off_a_stage() -> None:
    source = (
        "use(params.network)\nx = params.train.seed + params.validation.min_images\nparams.data.model_dump()"
    )
    assert set(used_params(ast.parse(source))) == {"network", "train.seed", "validate.min_images", "data"}
    both = "use(params.train, params.train.seed)"
    assert set(used_params(ast.parse(both))) == {"train", "train.seed"}
