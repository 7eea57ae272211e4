"""The stages of the throwaway models of these tests: `train.epochs` is how good they are.

TOY_STAGE may say what a stage does besides: fail, unreachable, sleep, steps (slow, resumable).
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

PARAMS = YAML(typ="safe").load(Path("params.yaml"))


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def download() -> None:
    source = Path(PARAMS["data"]["source"])
    if not source.is_dir():
        sys.exit("error: no such folder")
    shutil.rmtree("data/raw", ignore_errors=True)
    shutil.copytree(source, "data/raw")
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(source.iterdir())}
    files = [{"path": name, "bytes": 1, "sha256": digest} for name, digest in hashes.items()]
    write("data/raw/inventory.json", json.dumps({"files": files}))


def train() -> None:
    """Steps that are killed go on where they stopped, as the real stage's do."""
    state = Path(".runs/train-toy.json")
    done = json.loads(state.read_text()) if state.exists() else []
    total = int(value) if what == "steps" else 3
    while len(done) < total:
        done.append(len(done))
        write(".runs/train-toy.json", json.dumps(done))
        print(f"train     step {len(done)}/{total}  loss_d 1.0  512 images/s  9s left", flush=True)
        if what == "steps":
            time.sleep(0.25)
    data = "".join(path.read_text() for path in sorted(Path("data/raw").iterdir()))
    write("models/generator.safetensors", f"{PARAMS['train']} {data}")
    write("models/extractor.safetensors", "extractor")
    write("data/prepared/test.safetensors", data)
    state.unlink()


def evaluate() -> None:
    quality = PARAMS["train"]["epochs"]
    write("samples/samples.safetensors", str(quality))
    write("samples/grid.png", "a picture")
    write("reports/index.html", f"<p>{quality}")
    scores = {"fd_semantic": 100.0 / quality, "fd_semantic_sd": 0.5, "precision": 0.8, "recall": 0.6}
    if os.environ.get("GANFLOW_UNPINNED") == "1":
        scores["unpinned"] = {"train": {"numpy": "2"}}
    write("reports/metrics.json", json.dumps({**scores, "extractor_sha256": "e"}))


signal.signal(signal.SIGINT, lambda *_: sys.exit("interrupted"))
what, _, value = os.environ.get(f"TOY_{sys.argv[1].upper()}", "").partition(" ")
with open(os.environ.get("TOY_RAN", os.devnull), "a") as log:
    log.write(f"{sys.argv[1]} {os.getpid()}\n")
if what == "fail":
    sys.exit(f"error: {value}")
if what == "unreachable":  # as many times as it says
    tries = Path(value.split()[1])
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if len(tries.read_text()) <= int(value.split()[0]):
        print("error: no download", file=sys.stderr)
        sys.exit(75)
if what == "sleep":
    time.sleep(float(value))
{"download": download, "train": train, "evaluate": evaluate}[sys.argv[1]]()
