"""A version's tag goes out after its data, which come back whole; else the line says what finishes it."""

import shutil
from pathlib import Path

import pytest

from flows import push
from flows.promote import hold_to_gate, rollback
from flows.repo import cache_objects
from flows.repo.git import Git
from gan.errors import UserError
from tests.flows.experiment import git
from tests.flows.model_project import Model, make_model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A model with a git remote `origin`, and a DVC remote that is away: a file in the place of a folder."""
    made = make_model(tmp_path)
    git(tmp_path, "init", "-q", "--bare", "origin")
    made.git("remote", "add", "origin", str(tmp_path / "origin"))
    made.dvc("remote", "add", "-d", "store", str(tmp_path / "store"))
    made.commit("remotes")
    (tmp_path / "store").write_text("away")
    return made


def test_the_tag_waits_for_the_data(model: Model, tmp_path: Path) -> None:
    repository, origin, store = Git(model.root), tmp_path / "origin", tmp_path / "store"
    model.git("branch", "-q", "retrain/2026-01-01T00-00-00Z")
    with pytest.raises(UserError) as caught:
        hold_to_gate(repository, "main", None, "origin")
    message = str(caught.value)
    assert (
        "v1.0.0 is the champion here, but is not published: v1.0.0: its data could not be pushed" in message
    )
    assert message.endswith("`python -m flows.promote v1.0.0 --git-remote origin` finishes it")
    assert git(origin, "for-each-ref") == ""

    store.unlink()
    decision = hold_to_gate(repository, "v1.0.0", None, "origin")  # the command of the line
    assert decision.headline().endswith("v1.0.0 is published")
    listed = git(origin, "for-each-ref", "--format=%(refname)").splitlines()
    assert listed == ["refs/heads/retrain/2026-01-01T00-00-00Z", "refs/tags/model@v1.0.0"]
    # Somebody without this cache has it from there.
    assert "whole in the remote" in model.run("flows.verify", "model@v1.0.0", "--remote")

    # What was decided elsewhere is known before anything is decided here.
    model.git("tag", "-d", "model@v1.0.0")
    push.fetch_versions(repository, "origin")
    assert model.git("tag") == "model@v1.0.0"


@pytest.mark.slow
def test_data_that_do_not_come_back_whole_publish_nothing(model: Model, tmp_path: Path) -> None:
    repository, origin, store = Git(model.root), tmp_path / "origin", tmp_path / "store"
    store.unlink()
    push.push_data(repository, repository.resolve("main"))
    whole = next(path for path in store.rglob("*") if path.is_file() and b"'epochs': 10" in path.read_bytes())
    content = whole.read_bytes()
    whole.chmod(0o644)
    whole.write_bytes(content[:-1] + b"?")
    whole.chmod(0o444)  # as DVC leaves them: then it does not look again
    with pytest.raises(
        UserError, match=r"does not give back models/generator\.safetensors \(corrupt\): delete"
    ):
        hold_to_gate(repository, "main", None, "origin")
    assert git(origin, "for-each-ref") == ""
    whole.unlink()
    assert hold_to_gate(repository, "main", None, "origin").published
    # A rollback is published in the same way, and so is what was not before.
    model.set(train__epochs=20)
    model.record("better")
    shutil.move(store, tmp_path / "gone")
    store.write_text("away")
    with pytest.raises(UserError, match=r"v1\.1\.0 is the champion here, but is not published"):
        hold_to_gate(repository, "HEAD", None, "origin")
    store.unlink()
    shutil.move(tmp_path / "gone", store)
    assert rollback.fn(str(model.root), "origin").name == "v1.1.1"
    tags = git(origin, "tag").splitlines()
    assert tags == ["model@v1.0.0", "model@v1.1.0", "model@v1.1.1"]
    assert cache_objects.check(model.root / ".dvc" / "cache", {}) == []


def test_nowhere_to_publish_is_said_before_anything_is_done(model: Model) -> None:
    repository = Git(model.root)
    with pytest.raises(UserError, match=r"--git-remote elsewhere: no such remote; `git remote --verbose`"):
        push.check_remotes(repository, "elsewhere")
    model.dvc("remote", "remove", "store")
    with pytest.raises(UserError, match=r"no default DVC remote .* `dvc remote add -d NAME URL`"):
        hold_to_gate(repository, "main", None, "origin")
    assert model.git("tag") == ""
