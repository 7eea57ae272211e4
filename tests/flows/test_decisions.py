"""What a person decided about a model stands: a schedule never undoes it."""

from pathlib import Path

import pytest

from flows.judge.gate import Decision
from flows.promote import hold_to_gate, rollback
from flows.repo import commit
from flows.repo.git import Git
from flows.repo.model_versions import versions
from flows.retrain import _champion_again
from tests.flows.model_project import Model, make_model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A champion of 10 epochs, and then one of 20 on the branch `better`."""
    made = make_model(tmp_path)
    promote(made, "main")
    made.git("switch", "-qc", "better")
    made.set(train__epochs=20)
    made.record("better")
    promote(made, "better")
    return made


def promote(model: Model, revision: str, regardless: str | None = None) -> Decision:
    return hold_to_gate(Git(model.root), revision, regardless, None)


def last(output: str) -> str:
    return output.strip().splitlines()[-1]


def test_a_rolled_back_model_is_refused_until_a_person_promotes_it(model: Model) -> None:
    assert rollback.fn(str(model.root)).name == "v1.1.1"
    again = promote(model, "better").headline()
    assert "refused: taken back: this is v1.1.0, which v1.1.1 rolled back, wanted another model" in again
    # A change that gives other bytes is a new model.
    model.set(train__epochs=25)
    model.record("another")
    assert promote(model, "HEAD").version == "v1.2.0"
    assert rollback.fn(str(model.root)).name == "v1.2.1"
    assert "this is v1.2.0, which v1.2.1 rolled back" in promote(model, "HEAD").headline()
    # And a person may have the old one after all.
    forced = promote(model, "HEAD~1", "I looked at it").headline()
    assert "promoted as v1.3.0" in forced
    assert "regardless (I looked at it) of: taken back: this is v1.1.0, which v1.1.1 rolled back" in forced
    assert "v1.3.0 is this very model" in promote(model, "HEAD~1").headline()
    assert [version.name for version in versions(Git(model.root))] == [
        "v1.0.0",
        "v1.1.0",
        "v1.1.1",
        "v1.2.0",
        "v1.2.1",
        "v1.3.0",
    ]


@pytest.mark.slow
def test_a_deregistered_version_is_taken_back_too(model: Model) -> None:
    """By GTO's own tag; its number is not used again, whatever comes next."""
    model.git("tag", "-a", "-m", "bad", "model@v1.1.0!", "better")
    assert "taken back: this is v1.1.0, which was deregistered" in promote(model, "better").headline()
    assert promote(model, "better", "after all").version == "v1.2.0"


@pytest.mark.slow
def test_the_champions_bytes_and_a_branch_that_is_there_are_known(model: Model) -> None:
    git = Git(model.root)
    assert _champion_again(git, git.resolve("better").commit).startswith("the champion again: v1.1.0's")
    assert _champion_again(git, git.resolve("main").commit) == ""
    model.git("branch", "-q", "retrain/2026-01-01T00-00-00Z", "main")
    model.git("commit", "-qm", "a line of a text", "--allow-empty")
    assert commit.twin(git, "refs/heads/retrain", git.resolve("HEAD").commit) is None
    model.git("branch", "-q", "retrain/2026-01-02T00-00-00Z", "better")
    assert (
        commit.twin(git, "refs/heads/retrain", git.resolve("HEAD").commit) == "retrain/2026-01-02T00-00-00Z"
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_schedule_after_a_rollback(model: Model, api: dict[str, str]) -> None:
    """The same retraining, next week: everything out of the run cache, and the same bytes."""
    model.git("switch", "-q", "main")
    rollback.fn(str(model.root))
    for _ in range(2):
        output = model.retrain("-S", "train.epochs=20", status=3, **api)
        assert "refused: taken back: this is v1.1.0, which v1.1.1 rolled back" in last(output)
        assert len(model.branches()) == 1
    output = model.retrain("better", "-S", "train.epochs=10", **api)
    assert last(output) == "the champion again: v1.1.1's generator, byte for byte"
    assert "refused" not in output
    assert len(model.branches()) == 1
    assert model.leftovers() == []
