"""Model files: one key, the same bytes, what they were made from; older files still load."""

import json
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import gan
from gan import files as io
from gan import paths
from gan.errors import UserError
from gan.networks import model_file, model_record
from tests.conftest import ROOT


def test_the_version_is_the_projects() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert gan.__version__ == tomllib.load(file)["project"]["version"]


def test_a_record_tells_data_and_versions_and_nothing_that_varies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"data/raw/inventory.json: no such file; run the stage"):
        model_record.record({})
    io.write_json(paths.INVENTORY, {"source": "https://somewhere/photos.zip", "files": []})
    record = model_record.record({"image_size": 32})
    assert record["data"] == {"source": "https://somewhere/photos.zip", "image_size": 32}
    assert record["data_inventory_sha256"] == io.sha256_file(paths.INVENTORY)
    assert set(record["packages"]) == {"ganflow", "numpy", "safetensors", "torch"}
    assert record["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert "+" not in "".join(record["packages"].values())
    assert model_record.record({"image_size": 32}) == record
    io.write_json(paths.INVENTORY, {"source": "https://somewhere/photos.zip", "files": [1]})
    assert model_record.record({"image_size": 32})["data_inventory_sha256"] != record["data_inventory_sha256"]
    for source in ("/data/of/somebody/photos.zip", "file:///data/photos.zip", "photos.zip"):
        io.write_json(paths.INVENTORY, {"source": source})
        assert model_record.record({})["data"] == {"source": "photos.zip"}


def test_one_key_of_metadata_and_the_same_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 2)}
    for name, config in (("one", {"x": 1, "y": {"z": None}}), ("two", {"y": {"z": None}, "x": 1})):
        model_file.save(tmp_path / name, tensors, config)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with safe_open(tmp_path / "one", framework="pt") as file:
        assert list(file.metadata()) == ["config"]
        assert json.loads(file.metadata()["config"]) == {"x": 1, "y": {"z": None}}


def test_classes_have_names_or_numbers_or_are_none() -> None:
    def published(counts: tuple[int, ...] | None, **config: object) -> model_file.Published:
        return model_file.Published(torch.nn.Identity(), None, counts, 0, config)  # type: ignore[arg-type]

    assert published((3, 4), classes=["cat", "dog"]).classes() == ("cat", "dog")
    assert published((3, 4)).classes() == published((3, 4), classes=None).classes() == ("0", "1")
    assert published(None).classes() == published(None, classes=None).classes() == ()
