"""The folder that the Hugging Face Hub expects of a model, made of this checkout's outs; torch-free."""

import json
import re
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from flows.repo import cache_objects
from flows.repo.lock_file import LOCK, read_record
from gan import paths
from gan.errors import UserError, needs
from gan.files import read_json, sha256_file, write_json, write_text
from gan.urls import redacted
from gan.yaml12 import read_yaml

# What goes, by its name there. params.yaml stays here: it may name private sources.
FILES = {
    "generator.safetensors": paths.GENERATOR,
    "grid.png": paths.GRID,
    "interpolation.webp": paths.ANIMATION,
    "evaluation.json": paths.EVALUATION,
}
CARD, CONFIG, DATA = "README.md", "config.json", "croissant.json"
SHOWN = ("network", "image_size", "channels", "class_counts", "classes", "precision", "step", "images_seen")
PICTURE = "\n![Samples](grid.png)\n"


def check(folder: Path) -> None:
    """Raise UserError where an out is missing, or is not the one that dvc.lock records."""
    if not (folder / LOCK).is_file():
        raise UserError(f"{LOCK}: not here; `dvc repro` makes the model and its record")
    outputs = read_record((folder / LOCK).read_bytes(), str(LOCK)).outputs()
    for path in (*FILES.values(), paths.MODEL_CARD):
        file = folder / path
        if not file.is_file():
            raise UserError(f"{path}: not here; `dvc repro` or `dvc pull` brings it")
        recorded = outputs.get(str(path), ("", ""))[1]
        if recorded and cache_objects.md5_file(file) != recorded:
            raise UserError(f"{path}: is not what {LOCK} records; `dvc repro` makes both agree")


def write(folder: Path, target: Path, revision: str | None, licence: str | None) -> None:
    """Write the folder's files into ``target``, which is there. Raises UserError as `check` does."""
    check(folder)
    for name, path in FILES.items():
        shutil.copyfile(folder / path, target / name)
    write_json(target / CONFIG, _config(folder, revision))
    write_text(target / CARD, _card((folder / paths.MODEL_CARD).read_text(encoding="utf-8"), licence))
    write_json(target / DATA, data_set(folder))


def _config(folder: Path, revision: str | None) -> dict[str, Any]:
    """Return the network's description from the model file, and the revision that made it."""
    with open(folder / paths.GENERATOR, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    config = json.loads(header["__metadata__"]["config"])
    kept = (
        "network",
        "image_size",
        "channels",
        "class_counts",
        "classes",
        "precision",
        "step",
        "images_seen",
    )
    return {"library": "ganflow", "revision": revision} | {key: config[key] for key in kept if key in config}


def _card(card: str, licence: str | None) -> str:
    """Return the model card with its picture, and with a licence where one is given."""
    if licence:
        card = card.replace("---\n", f"---\nlicense: {json.dumps(licence)}\n", 1)
    return re.sub(r"(?m)^# .*\n", lambda title: title[0] + PICTURE, card, count=1)


def data_set(folder: Path) -> dict[str, Any]:
    """Return Croissant metadata of the training data (mlcommons.org/croissant/1.0), by mlcroissant.

    Files of the source are named only with `report.publish_sources`: their names may be private.
    Raises UserError where the package is not installed.
    """
    mlcroissant = package("mlcroissant")
    inventory, params = read_json(folder / paths.INVENTORY), read_yaml(folder / paths.PARAMS)
    named = bool((params.get("report") or {}).get("publish_sources"))
    files = [_file(mlcroissant, file) for file in inventory["files"]] if named else []
    licence = inventory.get("licence")
    metadata = mlcroissant.Metadata(
        name=_name(inventory, named),
        description=_description(folder),
        license=[licence] if licence else None,
        url=f"urn:sha256:{sha256_file(folder / paths.INVENTORY)}",
        distribution=files,
    )
    return dict(json.loads(json.dumps(metadata.to_json(), default=str)))


def _name(inventory: Mapping[str, Any], named: bool) -> str:
    """Return the name of a published set; a source of the user's stays private unless it may be named."""
    if not (inventory.get("licence") or named):
        return "private_images"
    last = re.split(r"[?#]", redacted(str(inventory["source"])))[0].rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "_", last).strip("_") or "images"


def _description(folder: Path) -> str:
    result = read_json(folder / paths.VALIDATION_METRICS)
    figures = ", ".join(f"{key} {value}" for key, value in result.items())
    return f"The images that this model was trained on, as their validation counted them: {figures}"


def _file(mlcroissant: Any, file: Mapping[str, Any]) -> Any:
    return mlcroissant.FileObject(
        id=file["path"],
        name=file["path"],
        content_url=file["path"],
        encoding_formats=["application/octet-stream"],
        sha256=file["sha256"],
    )


def package(name: str) -> Any:
    """Import a package of the extra `hub`. Raises UserError where it is not installed."""
    with needs(name.partition(".")[0]):
        return import_module(name)
