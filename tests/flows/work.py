"""The stages of the throwaway experiments of these tests: standard library only, same bits each time.

TOY_STAGE may say what a stage does besides: fail, sleep. TOY_NOISE stands for other hardware.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path

PARAMS = json.loads(Path("params.json").read_text())
LAYERS = 4
UNPINNED = Path(".runs/unpinned.json")


def download() -> None:
    source = Path(PARAMS["data"]["source"])
    source = source if source.exists() else Path(os.environ.get("GANFLOW_CHECKOUT", "")) / source
    if not source.is_dir():
        sys.exit("error: no such folder")
    shutil.rmtree("data/raw", ignore_errors=True)
    shutil.copytree(source, "data/raw/files")
    files = [
        {
            "path": path.name,
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(Path("data/raw/files").iterdir())
    ]
    Path("data/raw/inventory.json").write_text(json.dumps({"files": files}))


def hold(version: str) -> None:
    """Stand in for what a real stage does of packages.yaml, and for what evaluate says of it."""
    pins = Path("packages.yaml").read_text() if Path("packages.yaml").exists() else ""
    pin = pins.removeprefix("toything: ").strip('"\n')
    UNPINNED.parent.mkdir(exist_ok=True)
    UNPINNED.write_text(json.dumps({"train": {"toything": version}} if pin not in ("", version) else {}))
    if pin not in ("", version) and os.environ.get("GANFLOW_UNPINNED") != "1":
        sys.exit(f"error: toything: {pin} pinned, {version} installed")


def train() -> None:
    noise = os.environ.get("TOY_NOISE", "")
    package = metadata.version("toything") if PARAMS["train"]["package"] else ""
    hold(package)
    read = sorted(Path("data/raw/files").iterdir()) + sorted(Path("data/fixed").glob("*"))
    text = json.dumps(PARAMS["train"]) + noise + package + str(LAYERS)
    text += "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in read)
    Path("models").mkdir(exist_ok=True)
    Path("models/final.bin").write_text(hashlib.sha256(text.encode()).hexdigest())
    Path("models/log").mkdir(exist_ok=True)
    Path("models/log/a.txt").write_text(text)
    Path("models/log/b.txt").write_text("the same")
    if "TOY_BITS_OF" in os.environ:  # the model is made here, on it
        Path(".runs").mkdir(exist_ok=True)
        Path(".runs/machine.json").write_text(json.dumps({"accelerator": os.environ["TOY_BITS_OF"]}))
    if "machine" in PARAMS["train"]:
        facts = json.loads(os.environ.get("TOY_MACHINE", json.dumps(PARAMS["train"]["machine"])))
        Path("reports").mkdir(exist_ok=True)
        Path("reports/machine.json").write_text(json.dumps(facts))


def evaluate() -> None:
    model = Path("models/final.bin").read_bytes()
    noise = float(os.environ.get("TOY_NOISE") or 0)
    Path("reports").mkdir(exist_ok=True)
    score = len(model) + noise
    scores = {"fd_semantic": score, "fd_semantic_sd": 0.5, "fd_semantic_floor": 1.0}
    if UNPINNED.exists() and (other := json.loads(UNPINNED.read_text())):
        scores["unpinned"] = other
    if "TOY_BITS_OF" in os.environ:
        scores["bits_of"] = os.environ["TOY_BITS_OF"]
    Path("reports/metrics.json").write_text(
        json.dumps({**scores, "model_sha256": hashlib.sha256(model).hexdigest(), "n": 3})
    )


what, _, value = os.environ.get(f"TOY_{sys.argv[1].upper()}", "").partition(" ")
if what == "fail":
    sys.exit(f"error: {value}")
with open(os.environ.get("TOY_RAN", os.devnull), "a") as log:
    log.write(f"{sys.argv[1]}\n")
if what == "sleep":
    time.sleep(float(value))
{"download": download, "train": train, "evaluate": evaluate}[sys.argv[1]]()
