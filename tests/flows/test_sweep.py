"""A sweep through the real command: threads and a Dask cluster, experiments as DVC knows them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flows.sweep import _runner
from flows.tasks import search_space
from gan.errors import UserError
from tests.flows.harness import wait_for
from tests.flows.model_project import Model, make_model
from tests.flows.storage import free_port


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    made = make_model(tmp_path)
    yield made
    for process in made.below():
        process.kill()


def sweep(model: Model, *arguments: str, status: int = 0, **extra: str) -> str:
    return model.run("flows.sweep", *arguments, status=status, **extra)


def experiments(model: Model) -> dict[str, str]:
    """Each experiment's name, and what git has of it: the tree, which holds no time and no host."""
    lines = model.git("for-each-ref", "--format=%(refname) %(tree)", "refs/exps").splitlines()
    return {ref.rpartition("/")[2]: tree for ref, tree in (line.split() for line in lines)}


@pytest.mark.slow
def test_eight_trials_on_threads_and_on_dask(tmp_path: Path, api: dict[str, str]) -> None:
    grid = ["train.epochs=1,2,3,4", "train.seed=range(0,2)"]
    models = [make_model(tmp_path / where) for where in ("threads", "dask")]
    # the same data at the same place: only where they run differs
    models[1].set(data__source=str(models[0].source))
    models[1].record("same source")
    before = models[0].seen()
    outputs = [
        sweep(model, *grid, "--jobs", "2", "--on", where, **api)
        for model, where in zip(models, ("threads", "dask"), strict=True)
    ]
    lists = [experiments(model) for model in models]
    assert len(lists[0]) == 8
    assert lists[0] == lists[1]
    for output in outputs:
        table = [line.split() for line in output.splitlines() if line.startswith("sweep-")]
        assert [row[1] for row in table] == ["done"] * 8
        assert [float(row[4]) for row in table] == [25, 25, 33.3, 33.3, 50, 50, 100, 100]
    assert {key: models[0].seen()[key] for key in before if key != "refs"} == {
        key: value for key, value in before.items() if key != "refs"
    }
    assert all(model.leftovers() == [] for model in models)

    rows = json.loads(models[1].dvc("exp", "show", "--json"))
    names = [exp["name"] for entry in rows for exp in entry.get("experiments") or []]
    assert sorted(names) == sorted(lists[0])
    best = next(line.split()[0] for line in outputs[1].splitlines() if line.startswith("sweep-"))
    models[1].dvc("exp", "apply", best)
    assert "epochs: 4 " in (models[1].root / "params.yaml").read_text()
    assert (models[1].root / "samples" / "samples.safetensors").read_text() == "4"
    again = sweep(models[0], *grid, **api)
    assert again.count("there already") == 8


@pytest.mark.slow
def test_a_failing_trial_does_not_stop_the_others(model: Model, api: dict[str, str], tmp_path: Path) -> None:
    (model.source / "three.txt").write_text("3")
    arguments = ["train.epochs=2,3", f"data.source={model.source},{tmp_path}/nowhere", "--name", "try"]
    output = sweep(model, *arguments, status=1, **api)
    assert "2 of 4 trials failed" in output.strip().splitlines()[-1]
    assert "no such folder" in output.strip().splitlines()[-1]
    assert len(experiments(model)) == 2
    assert model.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("on", ["threads", "dask"])
def test_killed_leaves_nothing_and_goes_on(model: Model, api: dict[str, str], on: str) -> None:
    model.forks = False
    arguments = ["train.seed=1,2", "--jobs", "2", "--on", on]
    process = model.begin("flows.sweep", *arguments, TOY_TRAIN="steps 400", **api)
    states = model.root / ".runs" / "states"
    wait_for(lambda: len(list(states.glob("sweep-*/train-toy.json"))) == 2, 90)
    os.kill(process.pid, signal.SIGKILL if on == "dask" else signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    wait_for(lambda: not model.below(), 30)
    assert experiments(model) == {}
    output = sweep(model, *arguments, TOY_TRAIN="steps 4", **api)
    assert "step 1/4" not in output, "a trial began anew"
    assert len(experiments(model)) == 2
    assert list(states.iterdir()) == []
    assert model.leftovers() == []


@pytest.mark.slow
def test_a_cluster_elsewhere(model: Model, api: dict[str, str], tmp_path: Path) -> None:
    """Workers that outlive the sweep stop its trials when it is killed, and serve the next one."""
    port, python = free_port(), [sys.executable, "-m"]
    scheduler = [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = [*python, "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--nworkers", "2"]
    arguments = ["train.seed=1,2", "--jobs", "2", "--on", f"tcp://127.0.0.1:{port}"]
    variables = model.environment(TOY_TRAIN="steps 4000") | {"PREFECT_API_URL": api["PREFECT_API_URL"]}
    states = model.root / ".runs" / "states"
    with ExitStack() as stack:
        for command in ([*scheduler, "--no-dashboard"], [*worker, "--nthreads", "1", "--no-dashboard"]):
            process = subprocess.Popen(command, cwd=model.root, env=variables, start_new_session=True)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        sweeping = model.begin("flows.sweep", *arguments, **api)
        wait_for(lambda: len(list(states.glob("sweep-*/train-toy.json"))) == 2, 90)
        sweeping.kill()
        wait_for(lambda: not model.stages(), 40)
        failing = [*arguments, "--hours", "0.001"]
        assert "2 of 2 trials failed" in sweep(model, *failing, status=1, **api)
    assert experiments(model) == {}


def test_bad_input_is_one_line(model: Model, api: dict[str, str]) -> None:
    for arguments, message in (
        (["train.epoch=1,2"], "train.epoch: unknown key"),
        (["train.epochs=1,zero"], "train.epochs: 'zero'"),
        (["train.epochs=interval(1,2)"], "an interval has no end of values"),
        (["+train.new=1"], "only changes params that are there"),
        (["train.epochs=[1"], "such as train.seed=0,1"),
        (["train.seed=range(0,100000)"], "more than 10000 trials"),
        (["train.seed=0,1", "--on", "moon"], "one of threads, dask, ray"),
        (["train.seed=0,1", "--name", "a b"], "not a name for an experiment"),
        (["train.seed=0,1", "--random", "20000"], "a number of trials, 1 to 10000"),
    ):
        assert message in sweep(model, *arguments, status=1, **api).strip().splitlines()[-1], arguments
    for option in ("--jobs", "--random"):  # the parser's to refuse, as a wrong command line
        (line,) = sweep(model, "train.seed=0,1", option, "0", status=2, **api).strip().splitlines()
        assert line.startswith(f"error: argument {option}: 0: a whole number from 1 "), line
    assert experiments(model) == {}


def test_grid_and_draws() -> None:
    plans = search_space.grid(["a.x=1e-4,2e-4", "a.y=range(0,3)", "b='a, b'"], "s")
    assert [plan.values for plan in plans][:2] == [
        {"a.x": 1e-4, "a.y": 0, "b": "a, b"},
        {"a.x": 1e-4, "a.y": 1, "b": "a, b"},
    ]
    assert len({plan.name for plan in plans}) == 6
    wide = ["a.x=tag(log, interval(1e-6, 1))", "a.y=choice(1,2)"]
    draws = search_space.draw(wide, "s", 200, seed=0)
    assert draws == search_space.draw(wide, "s", 200, seed=0) != search_space.draw(wide, "s", 200, seed=1)
    small = sum(plan.values["a.x"] < 1e-3 for plan in draws)
    assert 70 < small < 130, "not even on a logarithmic scale"
    assert {plan.values["a.y"] for plan in draws} == {1, 2}
    assert all(1e-6 <= plan.values["a.x"] <= 1 for plan in draws)
    assert len(search_space.draw(["a.y=1,2,2"], "s", 50, seed=0)) == 2
    assert len(search_space.grid(["a.y=1,2,2"], "s")) == 2
    # what a deployment's parameters may hold, though the command line may not
    with pytest.raises(UserError, match="a number of trials"):
        search_space.draw(wide, "s", 0, seed=0)
    with pytest.raises(UserError, match="at least 1"):
        _runner("threads", 0)
    with pytest.raises(UserError, match="begins above 0"):
        search_space.draw(["a.x=tag(log, interval(0, 1))"], "s", 1, seed=0)
