"""The stages of the throwaway pipelines of these tests: `fake_stage.py PIPELINE STAGE`.

- `text NAME OUT IN...`: join the inputs; `times/` keeps when the stage ran, and in which process.
- `experiment STAGE`: download, train and evaluate as in params.json; the same bits each time.
- `model STAGE`: the same as in params.yaml; `train.epochs` is how good the model is.

A variable TOY_STAGE, such as TOY_TRAIN, makes a stage misbehave first; see `misbehave`. `steps NUMBER`
makes a model train slowly, and resume. TOY_RAN names a log of the stages that ran. TOY_NOISE,
TOY_MACHINE and TOY_BITS_OF stand for other hardware.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PIPELINE, STAGE, *ARGUMENTS = sys.argv[1:]
ASKED, _, VALUE = os.environ.get(f"TOY_{STAGE.upper()}", "").partition(" ")
LAYERS = 4  # tests edit this line, as a change of code
UNPINNED = Path(".runs/unpinned.json")


def misbehave() -> None:
    """Do what TOY_STAGE says, with a deaf grandchild for `spawn`."""
    with open(os.environ.get("TOY_RAN", os.devnull), "a") as log:
        log.write(f"{STAGE}\n")
    if ASKED == "fail":
        sys.exit(f"error: {VALUE}")
    if ASKED == "unreachable":  # the first so many times, counted in a file
        times, path = VALUE.split()
        with open(path, "a") as tries:
            tries.write("x")
        if Path(path).stat().st_size <= int(times):
            print("error: no download", file=sys.stderr)
            sys.exit(75)
    if ASKED == "spawn":
        ignore = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]"
        deaf = f"{ignore}; print('deaf'); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", deaf])
        time.sleep(600)
    if ASKED == "sleep":
        time.sleep(float(VALUE))


def write(path: str | Path, content: object) -> None:
    """Write text, or anything else as JSON."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content if isinstance(content, str) else json.dumps(content))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def join_texts(output: str, *inputs: str) -> None:
    started = time.time()
    print(f"{STAGE}: at work")
    write(f"times/{STAGE}.pid", str(os.getpid()))
    misbehave()
    write(output, STAGE + "".join(Path(name).read_text() for name in inputs))
    write(f"times/{STAGE}", f"{started} {time.time()}")


def download(params: dict[str, Any]) -> None:
    source = Path(params["data"]["source"])
    source = source if source.exists() else Path(os.environ.get("GANFLOW_CHECKOUT", "")) / source
    if not source.is_dir():
        sys.exit("error: no such folder")
    shutil.rmtree("data/raw", ignore_errors=True)
    paths = sorted(Path(shutil.copytree(source, "data/raw/files")).iterdir())
    files = [{"path": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)} for path in paths]
    write("data/raw/inventory.json", {"files": files})


def check_package(version: str) -> None:
    """Stand in for what a real stage does with packages.yaml, and for what evaluate says of it."""
    pins = Path("packages.yaml").read_text() if Path("packages.yaml").exists() else ""
    pin = pins.removeprefix("toything: ").strip('"\n')
    write(UNPINNED, {"train": {"toything": version}} if pin not in ("", version) else {})
    if pin not in ("", version) and os.environ.get("GANFLOW_UNPINNED") != "1":
        sys.exit(f"error: toything: {pin} pinned, {version} installed")


def train_experiment(params: dict[str, Any]) -> None:
    from importlib import metadata  # slow to import

    package = metadata.version("toything") if params["train"]["package"] else ""
    check_package(package)
    text = json.dumps(params["train"]) + os.environ.get("TOY_NOISE", "") + package + str(LAYERS)
    read = sorted(Path("data/raw/files").iterdir()) + sorted(Path("data/fixed").glob("*"))
    text += "".join(map(sha256, read))
    write("models/final.bin", hashlib.sha256(text.encode()).hexdigest())
    write("models/log/a.txt", text)
    write("models/log/b.txt", "the same")
    if "TOY_BITS_OF" in os.environ:  # the model is made here, on it
        write(".runs/machine.json", {"accelerator": os.environ["TOY_BITS_OF"]})
    if "machine" in params["train"]:
        facts = os.environ.get("TOY_MACHINE", json.dumps(params["train"]["machine"]))
        write("reports/machine.json", facts)


def evaluate_experiment(_: dict[str, Any]) -> None:
    model = Path("models/final.bin")
    score = model.stat().st_size + float(os.environ.get("TOY_NOISE") or 0)
    scores: dict[str, Any] = {"fd_semantic": score, "fd_semantic_sd": 0.5, "fd_semantic_floor": 1.0}
    if UNPINNED.exists() and (other := json.loads(UNPINNED.read_text())):
        scores["unpinned"] = other
    if "TOY_BITS_OF" in os.environ:
        scores["bits_of"] = os.environ["TOY_BITS_OF"]
    write("reports/metrics.json", {**scores, "model_sha256": sha256(model), "n": 3})


def train_model(params: dict[str, Any]) -> None:
    """Take up steps that were killed where they stopped, as the real stage does."""
    state = Path(".runs/train-toy.json")
    done = json.loads(state.read_text()) if state.exists() else []
    total = int(VALUE) if ASKED == "steps" else 3
    while len(done) < total:
        done.append(len(done))
        write(state, done)
        print(f"train     step {len(done)}/{total}  loss_d 1.0  512 images/s  9s left", flush=True)
        if ASKED == "steps":
            time.sleep(0.25)
    data = "".join(path.read_text() for path in sorted(Path("data/raw/files").iterdir()))
    write("models/generator.safetensors", f"{params['train']} {data}")
    write("models/extractor.safetensors", "extractor")
    write("data/prepared/test.safetensors", data)
    state.unlink()


def evaluate_model(params: dict[str, Any]) -> None:
    quality = params["train"]["epochs"]
    write("samples/samples.safetensors", str(quality))
    write("samples/grid.png", "a picture")
    write("reports/index.html", f"<p>{quality}")
    scores = {"fd_semantic": 100.0 / quality, "fd_semantic_sd": 0.5, "precision": 0.8, "recall": 0.6}
    other = {"unpinned": {"train": {"numpy": "2"}}} if os.environ.get("GANFLOW_UNPINNED") == "1" else {}
    write("reports/metrics.json", {**scores, **other, "extractor_sha256": "e"})


if PIPELINE == "text":
    join_texts(*ARGUMENTS)
elif PIPELINE == "experiment":
    params = json.loads(Path("params.json").read_text())
    misbehave()
    {"download": download, "train": train_experiment, "evaluate": evaluate_experiment}[STAGE](params)
elif PIPELINE == "model":
    from ruamel.yaml import YAML  # slow to import

    params = YAML(typ="safe").load(Path("params.yaml"))
    signal.signal(signal.SIGINT, lambda *_: sys.exit("interrupted"))
    misbehave()
    {"download": download, "train": train_model, "evaluate": evaluate_model}[STAGE](params)
