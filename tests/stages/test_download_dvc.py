"""Sources that change, by the lines of docs/sources.md, through the real dvc: folders, and what DVC keeps."""

import hashlib
import json
import shutil
from pathlib import Path

import boto3
import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, command, copy_project, set_params
from tests.data.image_files import archive, files, folder
from tests.data.web_site import Site, serving
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

    def look_and_repro(self, stage: str = "download", *, ok: bool = True) -> str:
        """Do what `make repro` does, up to a stage."""
        assert "@python -m gan.source_state\n\t@dvc repro\n" in (self.root / "Makefile").read_text()
        looked = command(["python", "-m", "gan.source_state"], self.root)
        return looked + command(["dvc", "repro", stage], self.root, ok=ok)

    def raw(self) -> dict[str, bytes]:
        root = self.root / "data" / "raw" / "files"
        return {
            path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }


@pytest.mark.slow
def test_a_folder_that_changes_is_noticed_by_itself(tmp_path):
    checkout = Checkout(tmp_path / "p")
    source = folder(tmp_path / "photos", files(4))
    set_params(checkout.root, data__source=str(source))
    for change in (None, "new", "changed", "gone"):
        content = files(4)
        if change == "new":
            content = files(5)
        elif change == "changed":
            content = {**files(5), "001.png": files(9)["008.png"]}
        elif change == "gone":
            (source / "004.png").unlink()
            content["001.png"] = files(9)["008.png"]
        folder(source, content)
        output = checkout.look_and_repro()
        assert "Running stage 'download'" in output
        assert change is None or f"is not what it was at the last download: 1 {change} (" in output
        assert "source    changed since it was last downloaded" in output
        assert checkout.raw() == content
        output = checkout.look_and_repro()
        assert "Stage 'download' didn't change, skipping" in output and "changed since" not in output
    folder(source, files(4))
    output = command(["python", "-m", "flows.pipeline", "--stage", "download"], checkout.root)
    assert "the source changed since it was last downloaded" in output and checkout.raw() == files(4)
    output = command(["python", "-m", "flows.pipeline", "--stage", "download"], checkout.root)
    assert "the source changed" not in output and "unchanged" in output
    folder(source, files(6))  # the README's command, with the source that is set already
    command(
        ["python", "-m", "flows", "run", "-S", f"data.source={source}", "--stage", "download"], checkout.root
    )
    assert checkout.raw() == files(6)


@pytest.mark.slow
def test_a_source_that_was_mended_after_a_failed_validation_is_read_again(tmp_path):
    checkout = Checkout(tmp_path / "p")
    source = folder(tmp_path / "photos", files(20))
    set_params(checkout.root, data__source=str(source))
    output = checkout.look_and_repro("validate", ok=False)
    assert "mend the source, or the limits under `validate` in params.yaml, and run `make repro`" in output
    assert "Running stage 'download'" not in checkout.look_and_repro("validate", ok=False)
    folder(source, files(200))
    output = checkout.look_and_repro("validate")
    assert "180 new (" in output and "Running stage 'validate'" in output
    output = checkout.look_and_repro("validate")
    assert output.count("didn't change, skipping") == 3 and "Running" not in output


@pytest.mark.slow
@pytest.mark.parametrize("version", ["ETag", "weak", "Last-Modified"])
def test_an_address_that_changes_is_noticed_by_what_its_server_says(tmp_path, version):
    packed = {count: archive(tmp_path / "x.zip", files(count)).read_bytes() for count in (3, 4, 5)}
    checkout = Checkout(tmp_path / "p")
    with serving(Site({"x.zip": packed[3]}, version=version)) as site:
        set_params(checkout.root, data__source=f"{site.url}/x.zip")
        checkout.look_and_repro()
        assert checkout.raw() == {"x.zip": packed[3]}
        assert "didn't change, skipping" in checkout.look_and_repro()
        site.files["x.zip"] = packed[4]
        assert "1 new (003.png)" in checkout.look_and_repro()
        assert checkout.raw() == {"x.zip": packed[4]}
        digest = hashlib.sha256(packed[4]).hexdigest()
        set_params(checkout.root, data__sha256=digest)
        checkout.look_and_repro()
        site.files["x.zip"], site.asked = packed[5], []
        assert "didn't change, skipping" in checkout.look_and_repro()
        assert site.asked == [] and checkout.raw() == {"x.zip": packed[4]}  # pinned: nobody looks


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
    output = checkout.dvc("repro", "download")
    assert "data/images is not what it was at the last download: 1 new (004.png)" in output
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
    output = checkout.dvc("repro", "-f", "download")
    assert "photos is not what it was at the last download: 1 gone (000.png)" in output
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
    output = command(["python", "-m", "flows.pipeline", "--stage", "download"], checkout.root)
    assert "download" in output
    inventory = json.loads((checkout.root / "data/raw/inventory.json").read_text())
    assert inventory["files"][0]["sha256"] == hashlib.sha256(files(1)["000.png"]).hexdigest()
    shutil.rmtree(checkout.root / "data" / "images")
    checkout.dvc("checkout", "-q", "data/images.dvc")
    assert "Stage 'download' didn't change" in checkout.dvc("repro", "download")
