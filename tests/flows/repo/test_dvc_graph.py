"""The graph as DVC reads it, and dvc.lock in DVC's own order."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from flows.repo import dvc_graph
from gan.errors import UserError
from tests.flows.harness import GRAPH, Toy


def test_plan_has_the_upstream_stages(make: Callable[..., Toy]) -> None:
    toy = make()
    plan = dvc_graph.plan(toy.root)
    assert {name: set(needs) for name, needs in plan.items()} == {k: set(v) for k, v in GRAPH.items()}
    assert list(dvc_graph.plan(toy.root, ["extractor"])) == ["prepare", "extractor"]
    with pytest.raises(UserError, match=r"no stage nonesuch in dvc\.yaml; there are prepare, train"):
        dvc_graph.plan(toy.root, ["nonesuch"])


def random_pipeline(rng: random.Random) -> tuple[list[str], str]:
    """Return the names of some stages, upstream first, and a dvc.yaml that has them in any order."""
    names = [f"s{i}" for i in rng.sample(range(100), 9)]
    lines = ["stages:"]
    for i, name in rng.sample(list(enumerate(names)), len(names)):
        needs = ", ".join(rng.sample(names[:i], min(i, rng.randrange(3))))
        lines += [f"  {name}:", f"    cmd: echo > {name}", f"    outs: [{name}]", f"    deps: [{needs}]"]
    return names, "\n".join(lines)


def test_order_is_that_of_dvc_repro(make: Callable[..., Toy], monkeypatch: pytest.MonkeyPatch) -> None:
    toy = make()
    monkeypatch.chdir(toy.root)
    for seed in range(12):
        names, content = random_pipeline(random.Random(seed))
        Path("dvc.yaml").write_text(content)
        for name in names:  # so that a dry run goes through to the end
            Path(name).touch()
        with Repo() as repo:
            order = [stage.name for stage in repo.reproduce(dry=True)]
        assert list(dvc_graph.plan(toy.root)) == order, f"seed {seed}"
        assert sorted(order) == sorted(names)


def test_changed(make: Callable[..., Toy]) -> None:
    toy = make()
    assert dvc_graph.changed(toy.root, "prepare")
    toy.dvc("repro", "prepare")
    assert not dvc_graph.changed(toy.root, "prepare")
    assert dvc_graph.changed(toy.root, "train")
    (toy.root / "out" / "prepare").write_text("other")
    assert dvc_graph.changed(toy.root, "prepare")


def test_new_entries_are_brought_into_order(make: Callable[..., Toy]) -> None:
    toy = make()
    toy.dvc("repro", "extractor")
    before, order = dvc_graph.locked(toy.root), list(dvc_graph.plan(toy.root))
    toy.dvc("repro")
    expected = toy.lock()
    dvc_graph.order_lock(toy.root, before, order)
    assert toy.lock() == expected  # nothing to do

    scrambled = [before[0], *reversed([name for name in order if name not in before]), *before[1:]]
    dvc_graph.order_lock(toy.root, scrambled, scrambled)
    assert dvc_graph.locked(toy.root) == scrambled
    dvc_graph.order_lock(toy.root, before, order)
    assert toy.lock() == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [("stages: {a: {cmd: x, cmd2: y}}", "dvc"), ("stages: [", "dvc"), ("", None)],
)
def test_a_wrong_dvc_yaml_is_one_line(make: Callable[..., Toy], content: str, says: str | None) -> None:
    toy = make()
    (toy.root / "dvc.yaml").write_text(content)
    if says is None:
        assert dvc_graph.plan(toy.root) == {}
        return
    with pytest.raises(UserError, match=says) as raised:
        dvc_graph.plan(toy.root)
    assert "\n" not in str(raised.value)


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not inside of a DVC repository|not a git repository"):
        dvc_graph.plan(tmp_path)


def test_a_broken_lock_is_one_line(make: Callable[..., Toy]) -> None:
    toy = make()
    (toy.root / "dvc.lock").write_text("<<<<<<< ours\nstages:\n")
    with pytest.raises(UserError, match=r"dvc\.lock"):
        dvc_graph.locked(toy.root)


@pytest.mark.parametrize("content", ["", '{"write": {', "{}"])
def test_a_half_written_record_is_removed(make: Callable[..., Toy], content: str) -> None:
    toy = make()
    record = toy.root / ".dvc" / "tmp" / "rwlock"
    assert not dvc_graph.mend(toy.root)
    record.write_text(content)
    assert dvc_graph.mend(toy.root) == (content != "{}")
    assert dvc_graph.changed(toy.root, "prepare")
