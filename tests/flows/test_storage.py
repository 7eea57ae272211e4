"""DVC remotes as the README sets them up: a folder, a real sshd, a real S3-protocol server."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import pytest

from tests.flows.experiment import Experiment, git, make_experiment
from tests.flows.storage import KEYS, SSHD, Line, s3, sshd
from tests.missing_programs import skip_without

BIG = 3_000_000  # bytes: some dozens of the pieces that a line carries


@dataclass
class Remote:
    """A remote's address, the lines that set it up, and a look at what it holds."""

    url: str
    settings: dict[str, str]
    line: Line | None
    files: Path | None = None  # where it keeps them
    bucket: str = ""
    endpoint: str = ""

    def objects(self) -> dict[str, bytes]:
        """What the remote holds by hash, `.dir` for folders."""
        if self.files is not None:
            objects = [path for path in self.files.rglob("*") if path.is_file() and path.suffix != ".tmp"]
            return {"".join(path.parts[-2:]): path.read_bytes() for path in objects if "md5" in path.parts}
        client = boto3.client("s3", endpoint_url=self.endpoint)
        listed = client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return {
            "".join(item["Key"].split("/")[-2:]): client.get_object(Bucket=self.bucket, Key=item["Key"])[
                "Body"
            ].read()
            for item in listed
            if "/md5/" in item["Key"]
        }

    def spoil(self, content: bytes) -> str:
        """Flip bits of the object with this content; return its hash."""
        name = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if self.files is not None:
            path = next(path for path in self.files.rglob(name[2:]) if path.is_file())
            path.chmod(0o644)
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        else:
            client = boto3.client("s3", endpoint_url=self.endpoint)
            key = next(
                item["Key"]
                for item in client.list_objects_v2(Bucket=self.bucket)["Contents"]
                if item["Key"].endswith(f"{name[:2]}/{name[2:]}")
            )
            client.put_object(Bucket=self.bucket, Key=key, Body=content[:-1] + bytes([content[-1] ^ 1]))
        return name

    def add(self, experiment: Experiment) -> None:
        """The ordinary lines of the README."""
        experiment.dvc("remote", "add", "-q", "-d", "store", self.url)
        for key, value in self.settings.items():
            experiment.dvc("remote", "modify", "-q", "store", key, value)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("ssh", "s3")]


@pytest.fixture(params=["folder", *SLOW])
def remote(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Remote]:
    store = tmp_path / "store"
    if request.param == "folder":
        yield Remote(str(store), {}, None, store)
    elif request.param == "ssh":
        if not SSHD.exists():
            skip_without("sshd")
        store.mkdir()
        with sshd(tmp_path / "sshd") as (port, key):
            line = Line(port)
            settings = {"port": str(line.port), "keyfile": str(key), "allow_agent": "false"}
            yield Remote(f"ssh://127.0.0.1{store}", settings, line, store)
            line.close()
    else:
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        with s3(tmp_path / "s3") as port:
            line = Line(port)
            endpoint = f"http://127.0.0.1:{port}"
            boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bucket")
            settings = {"endpointurl": f"http://127.0.0.1:{line.port}"}
            yield Remote("s3://bucket/store", settings, line, bucket="bucket", endpoint=endpoint)
            line.close()


def dvc(experiment: Experiment, *arguments: str, ok: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=experiment.root,
        env=experiment.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert (done.returncode == 0) == ok, done.stdout
    return done.stdout


def whole(objects: dict[str, bytes]) -> bool:
    return all(
        hashlib.md5(content, usedforsecurity=False).hexdigest() == name.removesuffix(".dir")
        for name, content in objects.items()
    )


def clone(experiment: Experiment, folder: Path) -> Experiment:
    git(folder.parent, "clone", "-q", str(experiment.root), str(folder))
    return replace(experiment, root=folder, started=[])


@pytest.mark.slow
def test_push_clone_pull_and_nothing_trains(remote: Remote, tmp_path: Path, api: dict[str, str]) -> None:
    experiment = make_experiment(tmp_path)
    remote.add(experiment)
    experiment.commit("a remote")
    dvc(experiment, "push")
    assert whole(remote.objects())
    assert len(remote.objects()) == 10  # 2 photos, inventory, model, 2 logs, extra; 3 folders

    other, log = clone(experiment, tmp_path / "clone"), tmp_path / "ran"
    dvc(other, "pull")
    other.dvc("repro", "-q", TOY_RAN=str(log))
    assert not log.exists()
    assert other.git("status", "--porcelain") == ""
    assert "4 outputs of HEAD are whole in the cache" in other.run("flows.verify")

    # Without a cache of its own: from the remote, what comes before the stage; then all of it.
    third = clone(experiment, tmp_path / "third")
    shutil.rmtree(experiment.source)
    third.reproduce("HEAD", "--stage", "train", TOY_RAN=str(log), **api)
    assert log.read_text().split() == ["train", "evaluate"]
    log.unlink()
    third.reproduce("HEAD", "--trust-cache", TOY_RAN=str(log), **api)
    assert not log.exists()


@pytest.mark.parametrize("remote", SLOW, indirect=True)
def test_a_connection_that_is_cut(remote: Remote, tmp_path: Path, api: dict[str, str]) -> None:
    assert remote.line is not None
    experiment = make_experiment(tmp_path)
    for i in range(4):
        (experiment.source / f"big{i}.bin").write_bytes(os.urandom(BIG // 4))
    experiment.dvc("repro", "-q", "--force")
    experiment.commit("more")
    remote.add(experiment)
    experiment.commit("a remote")
    remote.line.cut_after(BIG / 2)
    dvc(experiment, "push", ok=False)
    assert remote.line.cuts
    assert whole(remote.objects())
    remote.line.cut_after(float("inf"))
    dvc(experiment, "push")
    assert whole(remote.objects())

    other = clone(experiment, tmp_path / "clone")
    remote.line.cut_after(BIG / 2)
    output = other.reproduce("HEAD", "--stage", "train", status=1, **api).strip().splitlines()[-1]
    assert output.startswith("error: HEAD: neither in the cache nor in the remote (")
    assert "failed to transfer" in output or "Connection" in output  # in whichever request it was cut
    dvc(other, "pull", ok=False)
    remote.line.cut_after(float("inf"))
    dvc(other, "pull")
    assert other.run("flows.verify").strip().endswith("are whole in the cache")
    assert other.dvc("status").strip() == "Data and pipelines are up to date."


@pytest.mark.slow
def test_a_corrupt_object_of_a_remote_is_named(remote: Remote, tmp_path: Path, api: dict[str, str]) -> None:
    experiment = make_experiment(tmp_path)
    remote.add(experiment)
    experiment.commit("a remote")
    dvc(experiment, "push")
    assert "are whole in the remote" in experiment.run("flows.verify", "HEAD", "--remote")
    name = remote.spoil(b"twotwotwo")
    output = experiment.run("flows.verify", "HEAD", "--remote", status=1)
    assert f"corrupt  data/raw/files/two.txt  files/md5/{name[:2]}/{name[2:]}" in output
    assert experiment.run("flows.verify").strip().endswith("are whole in the cache")

    other = clone(experiment, tmp_path / "clone")
    output = other.reproduce("HEAD", "--stage", "train", status=1, **api).strip().splitlines()[-1]
    assert "not what was recorded: data/raw/files/two.txt (corrupt: " in output
    assert name[2:] in output


@pytest.mark.slow
def test_garbage_collection_keeps_what_was_promoted(experiment: Experiment) -> None:
    experiment.git("tag", "model@v1.0.0")
    for threads in (3, 4):
        experiment.params(train__threads=threads)
        experiment.record(f"{threads} threads")
    dvc(experiment, "gc", "--workspace", "--all-tags", "--force")
    for name in ("v1.0.0", "HEAD"):
        assert "are whole in the cache" in experiment.run("flows.verify", name)
    output = experiment.run("flows.verify", "HEAD~1", status=1)
    assert "missing  models/final.bin" in output


@pytest.mark.slow
def test_a_cache_that_a_group_shares(experiment: Experiment, api: dict[str, str], tmp_path: Path) -> None:
    cache = tmp_path / "shared"
    cache.mkdir(mode=0o2775)
    dvc(experiment, "config", "cache.dir", str(cache))
    dvc(experiment, "config", "cache.shared", "group")
    first = experiment.commit("a shared cache")
    experiment.params(train__threads=3)
    experiment.record("second")
    # The first model was never in it: the rebuild's own worktree makes it, and shares it.
    assert "missing  models/final.bin" in experiment.run("flows.verify", first, status=1)
    experiment.reproduce(first, "--trust-cache", **api)
    assert "are whole in the cache" in experiment.run("flows.verify", first)
    folders = [path for path in cache.rglob("*") if path.is_dir()]
    objects = [path for path in cache.rglob("*") if path.is_file() and "md5" in path.parts]
    assert len(objects) > 10
    assert all(path.stat().st_mode & 0o070 == 0o070 for path in folders)  # the group writes
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in objects)  # nobody changes an object
