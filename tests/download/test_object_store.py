"""Private sources: a real sshd and a real S3-protocol server, with keys where they belong."""

import getpass
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from gan.download.object_store import Store
from tests.data.image_files import archive, files, folder
from tests.flows.storage import KEYS, SSHD, Line, s3, sshd
from tests.missing_programs import skip_without
from tests.stages.project import ENVIRONMENT, Project


@dataclass
class Server:
    """A server that holds `x.zip` and the folder `images`, and what lets a client in."""

    base: str
    variables: dict[str, str]
    archive: bytes
    images: dict[str, bytes]
    home: Path
    port: int

    def run(self, project: Project, *, status: int = 0, **variables: str) -> str:
        environment = {**ENVIRONMENT, "HOME": str(self.home), **self.variables, **variables}
        process = project.start("download", env={k: v for k, v in environment.items() if v})
        output = process.communicate(timeout=120)[1]
        assert process.returncode == status, output
        assert "Traceback" not in output
        return output


IMAGES = {**files(4, "cat/a {0}#.png"), **files(2, "dog/é{0}.png"), **files(1, "a#{0}.png")}


@pytest.fixture(scope="module")
def by_ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not SSHD.exists():
        skip_without("sshd")
    server_folder = tmp_path_factory.mktemp("ssh")
    content = archive(server_folder / "x.zip", files(5)).read_bytes()
    folder(server_folder / "images", {**IMAGES, ".hidden/x.png": b"x"})
    (server_folder / "images" / "link.png").symlink_to("cat")
    home = server_folder / "home"
    (home / ".ssh").mkdir(parents=True)
    with sshd(server_folder / "sshd") as (port, key):
        host = (server_folder / "sshd" / "host.pub").read_text()
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
        (home / ".ssh" / "config").write_text(
            f"Host store\n  HostName 127.0.0.1\n  Port {port}\n"
            f"  User {getpass.getuser()}\n  IdentityFile {key}\n"
        )
        yield Server(f"ssh://store{server_folder}", {"SSH_AUTH_SOCK": ""}, content, IMAGES, home, port)


@pytest.fixture(scope="module")
def by_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("s3")
    content = archive(folder / "x.zip", files(5)).read_bytes()
    with s3(folder / "server") as port:
        endpoint = f"http://127.0.0.1:{port}"
        keys = {key: value for key, value in KEYS.items() if key.startswith("AWS_")}
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="sets")
        client.put_object(Bucket="sets", Key="a/x.zip", Body=content)
        for name, data in {**IMAGES, ".hidden/x.png": b"x"}.items():
            client.put_object(Bucket="sets", Key=f"a/images/{name}", Body=data)
        client.put_object(Bucket="sets", Key="a/images-too/x.png", Body=b"not below it")
        yield Server("s3://sets/a", {**keys, "AWS_ENDPOINT_URL": endpoint}, content, IMAGES, folder, port)


@pytest.fixture(params=["ssh", "s3"])
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(f"by_{request.param}")


def test_an_archive_and_a_folder(tmp_path: Path, server: Server) -> None:
    project = Project(tmp_path / "p", f"{server.base}/x.zip")
    server.run(project)
    assert project.tree("data/raw/files") == {"x.zip": server.archive}
    project.set(data__source=f"{server.base}/images")
    server.run(project)
    assert project.tree("data/raw/files") == server.images
    inventory = json.loads((project.path / "data/raw/inventory.json").read_text())
    first = min(server.images)
    assert inventory["files"][0]["origin"] == f"{server.base}/images/{first}"
    links = [{"path": "link.png", "reason": "not a regular file"}]
    assert inventory["skipped"] == (links if server.base.startswith("ssh") else [])


@pytest.mark.slow
def test_what_is_not_there_and_a_folder_that_is_pinned(tmp_path: Path, server: Server) -> None:
    project = Project(tmp_path / "p", f"{server.base}/none.zip")
    assert f"no download from {server.base}/none.zip (FileNotFoundError" in server.run(project, status=1)
    project.set(data__source=f"{server.base}/nothing")
    assert f"no download from {server.base}/nothing (FileNotFoundError" in server.run(project, status=1)
    project.set(data__source=f"{server.base}/images", data__sha256="0" * 64)
    assert "is not one file" in server.run(project, status=1)
    project.set(data__source=f"{server.base}/x.zip")
    assert f"data.sha256 is {'0' * 64}" in server.run(project, status=1)
    assert project.tree("data") == {}


@pytest.mark.slow
def test_a_store_as_a_mirror(tmp_path: Path, server: Server) -> None:
    project = Project(tmp_path / "p", "http://127.0.0.1:9/x.zip", data__mirrors=[server.base])
    server.run(project)
    assert project.tree("data/raw/files") == {"x.zip": server.archive}


@pytest.mark.slow
def test_ssh_keys_come_from_the_agent(tmp_path: Path, by_ssh: Server) -> None:
    config = (by_ssh.home / ".ssh" / "config").read_text()
    port, key = config.split("Port ")[1].split()[0], config.split("IdentityFile ")[1].strip()
    address = by_ssh.base.replace("ssh://store", f"sftp://{getpass.getuser()}@127.0.0.1:{port}")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_bytes((by_ssh.home / ".ssh" / "known_hosts").read_bytes())
    project = Project(tmp_path / "p", f"{address}/x.zip")
    output = by_ssh.run(project, status=1, HOME=str(home))
    assert "PermissionError" in output
    assert "trying again" not in output
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket.exists():
                break
            agent.poll()
            subprocess.run(["sleep", "0.05"], check=True)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", key], env=environment, check=True)
        by_ssh.run(project, HOME=str(home), SSH_AUTH_SOCK=str(socket))
    finally:
        agent.terminate()
        agent.wait(10)
    assert project.tree("data/raw/files") == {"x.zip": by_ssh.archive}
    (home / ".ssh" / "known_hosts").unlink()
    output = by_ssh.run(project, status=1, HOME=str(home), SSH_AUTH_SOCK=str(socket))
    assert "HostKeyNotVerifiable" in output  # no stranger is believed
    assert "trying again" not in output


@pytest.mark.slow
def test_s3_without_keys_is_one_line(tmp_path: Path, by_s3: Server) -> None:
    project = Project(tmp_path / "p", f"{by_s3.base}/x.zip")
    no_keys = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    output = by_s3.run(project, status=1, **no_keys)
    assert "NoCredentials" in output
    assert "trying again" not in output


@pytest.mark.slow
def test_a_line_that_is_cut_is_mended(tmp_path: Path, server: Server) -> None:
    """In the middle of a folder; sshd's and S3's own words take some thousand bytes."""
    secure = server.base.startswith("ssh")
    line = Line(server.port)
    environment = {**ENVIRONMENT, **server.variables, "HOME": str(tmp_path / "home")}
    shutil.copytree(server.home / ".ssh", tmp_path / "home" / ".ssh") if secure else (
        tmp_path / "home"
    ).mkdir()
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            path.write_text(path.read_text().replace(str(server.port), str(line.port)))
    if not secure:
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{line.port}"
    try:
        project = Project(tmp_path / "p", f"{server.base}/images")
        line.cut_after(15_000 if secure else 9_000)
        process = project.start("download", env=environment)
        assert process.stderr is not None
        messages = []
        for text in process.stderr:
            messages.append(text)
            if "trying again" in text:
                line.cut_after(float("inf"))
        assert process.wait() == 0, messages
        assert line.cuts == 1
        assert any("trying again" in text for text in messages)
    finally:
        line.close()
    assert project.tree("data/raw/files") == server.images


@pytest.mark.parametrize("path", ["sets/a//etc/x.png", "sets/a/etc/x.png"])
def test_no_name_leaves_the_folder(path: str) -> None:
    store = Store("s3://sets/a")
    store._opened = (None, "sets/a")
    assert store.name(path) == "etc/x.png"
    assert store.name("sets/another") == ""


def test_a_kind_whose_package_is_missing_is_named(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", "gs://bucket/x.zip")
    assert "gcsfs" in project.fail("download")
