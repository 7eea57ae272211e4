"""`ganflow publish`: read back by the Hub's own library, and uploaded by it to a stand-in of the Hub."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import mlcroissant
import pytest
from huggingface_hub import ModelCard
from safetensors import safe_open

from tests.conftest import ROOT, SMALL, command, copy_project, set_params

NAMES = {
    "README.md",
    "config.json",
    "croissant.json",
    "evaluation.json",
    "generator.safetensors",
    "grid.png",
    "interpolation.webp",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("publish") / "project")
    set_params(folder, **SMALL)
    command(["dvc", "repro", "-q"], folder)
    command(["git", "add", "-A"], folder)
    command(["git", "commit", "-qm", "small"], folder)
    return folder


def publish(folder: Path, *arguments: object, status: int = 0, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(folder / ".hf"), **variables}
    ran = subprocess.run(
        [sys.executable, "-m", "flows.models.publish", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


class Hub(BaseHTTPRequestHandler):
    """What of the Hub's protocol an upload needs; it keeps what it is sent."""

    sent: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self.answer({"error": "who are you?"}, 401)
        if self.path == "/api/repos/create":
            return self.answer({"url": f"http://{self.headers['Host']}/me/model"})
        if "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(content)["files"]
            ]
            return self.answer({"files": files})
        if "/commit/" in self.path:
            for line in content.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.sent[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            commit = f"http://{self.headers['Host']}/me/model/commit/{'1' * 40}"
            return self.answer({"commitUrl": commit, "commitOid": "1" * 40})
        return self.answer({"yaml": "fine"})

    def do_GET(self) -> None:
        self.answer({"id": "me/model", "sha": "0" * 40, "siblings": []})

    def answer(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.sent.clear()
    Hub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.mark.slow
def test_a_folder_as_the_hub_wants_it(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(project, "--to", out, "--license", "mit")
    assert {path.name for path in out.iterdir()} == NAMES
    card = ModelCard.load(out / "README.md")
    assert card.data.license == "mit"
    figures = {result.metric_type: result.metric_value for result in card.data.eval_results}
    recorded = json.loads((project / "reports" / "evaluation.json").read_text())
    assert figures["fd_semantic"] == recorded["fd_semantic"]
    assert "![Samples](grid.png)" in card.text
    loading = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)[0]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    copied = shutil.copytree(out, tmp_path / "downloaded")
    subprocess.run([sys.executable, "-c", loading], cwd=copied, env=environment, check=True)
    assert (copied / "samples.png").is_file()
    with safe_open(out / "generator.safetensors", "numpy") as weights:
        assert json.loads(weights.metadata()["config"])["image_size"] == 32
    config = json.loads((out / "config.json").read_text())
    assert config["revision"] == command(["git", "rev-parse", "HEAD"], project).strip()
    assert config["network"]["base_channels"] == 4
    data = mlcroissant.Dataset(jsonld=out / "croissant.json").metadata
    assert data.name == "digits" and "CC BY 4.0" in str(data.license)
    assert not data.distribution  # names of files are published where that is asked for, not else
    assert "not an empty folder; name a new one" in publish(project, "--to", out, status=1)


@pytest.mark.slow
def test_what_may_be_private_stays(project: Path, tmp_path: Path) -> None:
    inventory = project / "data" / "raw" / "inventory.json"
    known = inventory.read_bytes()
    secret = json.loads(known) | {"source": "/data/patients/xray.zip?key=SECRET", "licence": None}
    secret["files"][0]["path"] = "ann-smith.png"
    try:
        inventory.write_text(json.dumps(secret))
        publish(project, "--to", tmp_path / "out")
        everything = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
        assert (
            b"patients" not in everything and b"ann-smith" not in everything and b"SECRET" not in everything
        )
        set_params(project, report__publish_sources=True)
        publish(project, "--to", tmp_path / "named")
        (named,) = mlcroissant.Dataset(jsonld=tmp_path / "named" / "croissant.json").metadata.distribution
        assert named.sha256 == secret["files"][0]["sha256"]
        assert b"SECRET" not in (tmp_path / "named" / "croissant.json").read_bytes()
    finally:
        inventory.write_bytes(known)
        command(["git", "checkout", "-q", "params.yaml"], project)


@pytest.mark.slow
def test_an_upload(project: Path, hub: str) -> None:
    out = publish(project, "--to", "hf://me/model", "--private", HF_ENDPOINT=hub, HF_TOKEN="hf_right")
    assert f"published  {hub}/me/model" in out
    assert set(Hub.sent) == NAMES
    assert Hub.sent["generator.safetensors"] == (project / "models" / "generator.safetensors").read_bytes()
    assert {authorization for _, authorization in Hub.asked} == {"Bearer hf_right"}


@pytest.mark.slow
def test_nothing_goes_without_being_asked_for(project: Path, hub: str, tmp_path: Path) -> None:
    listed = publish(project, "--to", "hf://me/model", "--dry-run", HF_ENDPOINT=hub, HF_TOKEN="hf_right")
    assert all(name in listed for name in NAMES) and "nothing was sent or written" in listed
    publish(project, "--to", tmp_path / "out", HF_ENDPOINT=hub, HF_TOKEN="hf_right")
    assert Hub.asked == []


@pytest.mark.slow
def test_what_is_wrong_is_one_line(project: Path, hub: str, tmp_path: Path) -> None:
    assert "no token; `hf auth login` stores one, or set HF_TOKEN" in publish(
        project, "--to", "hf://me/model", status=1, HF_ENDPOINT=hub
    )
    refused = publish(project, "--to", "hf://me/model", status=1, HF_ENDPOINT=hub, HF_TOKEN="hf_wrong")
    assert refused.splitlines()[-1].startswith("error: --to hf://me/model: ") and "401" in refused
    away = publish(project, "--to", "hf://me/model", status=1, HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="x")
    assert away.splitlines()[-1].startswith("error: --to hf://me/model: ")
    assert "error: --to hf://me: give hf://USER/NAME" in publish(project, "--to", "hf://me", status=1)
    assert "error: --to hf://me/a b: " in publish(project, "--to", "hf://me/a b", status=1)
    assert "give a folder, or hf://USER/NAME" in publish(project, "--to", "s3://bucket", status=1)
    model = project / "models" / "generator.safetensors"
    known = model.read_bytes()
    try:
        model.unlink()
        model.write_bytes(known[:-1] + bytes([known[-1] ^ 1]))
        assert "is not what dvc.lock records; `dvc repro` makes both agree" in publish(
            project, "--to", tmp_path / "out", status=1
        )
        model.unlink()
        assert "models/generator.safetensors: not here" in publish(
            project, "--to", tmp_path / "out", status=1
        )
    finally:
        model.write_bytes(known)
    assert not (tmp_path / "out").exists()
