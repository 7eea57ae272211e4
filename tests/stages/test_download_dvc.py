"""Images that DVC keeps as a source, by the lines of docs/sources.md, through the real dvc."""

import hashlib
import json
import shutil
from pathlib import Path

import boto3
import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, command, copy_project, set_params
from tests.data.images import archive, files, folder
from tests.flows.storage import KEYS, s3


class Checkout:
    """A copy of the repository, in which download alone is run."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = copy_project(root)

    def dvc(self, *arguments: str, **variables: str) -> str:
        return command(["dvc", *arguments], self.root, **variables)

    def depend_on(self, path: str) -> None:
        """Add the one line under `download: deps:`."""
        yaml = YAML()
        content = yaml.load(self.root / "dvc.yaml")
        content["stages"]["download"]["deps"].append(path)
        yaml.dump(content, self.root / "dvc.yaml")

    def raw(self) -> dict[str, bytes]:
        root = self.root / "data" / "raw" / "files"
        return {
            path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }


@pytest.mark.slow
def test_added_images_are_a_source_that_is_followed(tmp_path):
    assert "    deps:\n      - data/images\n" in (ROOT / "docs" / "sources.md").read_text()
    checkout = Checkout(tmp_path / "p")
    folder(checkout.root / "data" / "images", files(4))
    checkout.dvc("add", "-q", "data/images")
    set_params(checkout.root, data__source="data/images")
    checkout.depend_on("data/images")
    checkout.dvc("repro", "download")
    assert checkout.raw() == files(4)
    assert "Stage 'download' didn't change" in checkout.dvc("repro", "download")
    folder(checkout.root / "data" / "images", files(5))
    said = checkout.dvc("repro", "download")
    assert "data/images is not what it was at the last download: 1 new (004.png)" in said
    assert checkout.raw() == files(5)
    pinned = (checkout.root / "data" / "images.dvc").read_text()
    lock = YAML().load(checkout.root / "dvc.lock")["stages"]["download"]["deps"]
    assert next(dep["md5"] for dep in lock if dep["path"] == "data/images") in pinned


@pytest.mark.slow
def test_images_that_nobody_depends_on_are_seen_when_forced(tmp_path):
    checkout = Checkout(tmp_path / "p")
    folder(checkout.root / "photos", files(4))
    set_params(checkout.root, data__source="photos")
    checkout.dvc("repro", "download")
    (checkout.root / "photos" / "000.png").unlink()
    assert "Stage 'download' didn't change" in checkout.dvc("repro", "download")
    said = checkout.dvc("repro", "-f", "download")
    assert "photos is not what it was at the last download: 1 gone (000.png)" in said
    assert sorted(checkout.raw()) == ["001.png", "002.png", "003.png"]


@pytest.mark.slow
def test_an_import_from_s3_is_updated_on_request(tmp_path):
    with s3(tmp_path / "server") as port:
        variables = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        client = boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="sets")

        def publish(count: int) -> bytes:
            content = archive(tmp_path / "x.zip", files(count)).read_bytes()
            client.put_object(Bucket="sets", Key="x.zip", Body=content)
            return content

        first = publish(3)
        checkout = Checkout(tmp_path / "p")
        checkout.dvc("import-url", "-q", "s3://sets/x.zip", "data/x.zip", **variables)
        set_params(checkout.root, data__source="data/x.zip")
        checkout.depend_on("data/x.zip")
        checkout.dvc("repro", "download", **variables)
        assert checkout.raw() == {"x.zip": first}
        second = publish(4)
        checkout.dvc("repro", "download", **variables)
        assert checkout.raw() == {"x.zip": first}  # an import stays as it is until it is updated
        checkout.dvc("update", "-q", "data/x.zip.dvc", **variables)
        assert "1 new (003.png)" in checkout.dvc("repro", "download", **variables)
        assert checkout.raw() == {"x.zip": second}


@pytest.mark.slow
def test_a_flow_and_a_clone_take_what_was_added(tmp_path):
    checkout = Checkout(tmp_path / "p")
    folder(checkout.root / "data" / "images", files(4))
    checkout.dvc("add", "-q", "data/images")
    set_params(checkout.root, data__source="data/images")
    checkout.depend_on("data/images")
    said = command(["python", "-m", "flows.pipeline", "--stage", "download"], checkout.root)
    assert "download" in said
    inventory = json.loads((checkout.root / "data/raw/inventory.json").read_text())
    assert inventory["files"][0]["sha256"] == hashlib.sha256(files(1)["000.png"]).hexdigest()
    shutil.rmtree(checkout.root / "data" / "images")
    checkout.dvc("checkout", "-q", "data/images.dvc")
    assert "Stage 'download' didn't change" in checkout.dvc("repro", "download")
