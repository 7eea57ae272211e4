"""A secret in an address is in params.yaml and dvc.lock, and in nothing else that a command writes."""

import http.server
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REFUSED, command, copy_project, set_params
from tests.data.image_files import archive, encoded, picture
from tests.stages.project import TINY_PIPELINE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SECRETS = tuple(uuid.uuid4().hex for _ in range(3))  # password, token, signature
# The user's own files; DVC's run cache has a copy of what dvc.lock says of each stage.
OWN = ("params.yaml", "dvc.lock", ".dvc/cache/runs/")
COMMANDS = (
    "ganflow run -S sample.seed=1",
    "git commit -qam run",
    "ganflow run",
    "dvc exp run -S sample.seed=2",
    "git commit -qam another",
    "ganflow history",
    "ganflow history HEAD~1 HEAD",
    "ganflow page",
    "ganflow retrain -S sample.seed=3",
    "ganflow sweep sample.seed=4,5",
    "ganflow sweep \"data.source='{address}'\" sample.seed=6",
    "ganflow reproduce HEAD --stage sample",
    "ganflow promote HEAD --regardless 'a test'",
    "ganflow verify HEAD",
    "ganflow sample --model models/generator.safetensors --count 2 --out drawn",
    "ganflow export --model models/generator.safetensors --out generator.onnx",
    "ganflow provenance verify drawn/png/*.png",
    "ganflow clean",
)
FAILING = (
    "ganflow run -S 'data.source={gone}'",
    "ganflow retrain -S 'data.source={gone}'",
    "ganflow sweep \"data.source='{gone}'\" sample.seed=7",
)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that has one archive, /photos.zip."""
    pictures = {f"{i:03d}.png": encoded(picture(i, (16, 16)), "PNG") for i in range(80)}
    content = archive(tmp_path_factory.mktemp("server") / "photos.zip", pictures).read_bytes()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.startswith("/photos.zip?")
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()
            if found and self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as answers:
        threading.Thread(target=answers.serve_forever, daemon=True).start()
        yield answers.server_port
        answers.shutdown()


def leaks(folder: Path) -> list[str]:
    """Return the files below a folder that hold a secret, but the user's own."""
    return [
        f"{path.relative_to(folder)}: {secret}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not any(name in f"{path}" for name in OWN)
        for secret in SECRETS
        if secret.encode() in path.read_bytes()
    ]


def test_it_is_nowhere_else(server: int, tmp_path: Path) -> None:
    address = f"http://user:{SECRETS[0]}@127.0.0.1:{server}/%s.zip?token={SECRETS[1]}#sig={SECRETS[2]}"
    project = copy_project(tmp_path / "project")
    set_params(project, **TINY_PIPELINE, data__source=address % "photos")
    for texts, ok in ((COMMANDS, True), (FAILING, False)):
        for text in texts:
            typed = text.format(address=address % "photos", gone=address % "gone")
            if text.startswith("ganflow retrain") and ok:
                typed += f" || [ $? = {REFUSED} ]"  # the gate may decide against it
            output = command(["bash", "-c", typed], project, ok=ok, HOME=str(tmp_path))
            assert not any(secret in output for secret in SECRETS), f"{text}\n{output}"
            assert leaks(tmp_path) == [], text
