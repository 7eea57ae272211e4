"""How a step runs: what `auto` decides, and when steps are captured and replayed."""

from contextlib import nullcontext
from typing import ClassVar

import pytest
import torch

from gan.training import engine as module
from gan.training.distributed import World
from gan.training.engine import EAGER_STEPS, Engine, wants_compile, wants_graphs
from tests.training.conftest import MakeLoop
from tests.training.test_loop import quiet

ALONE, TWO = World(), World(0, 2)


def test_auto_takes_graphs_and_compiles_where_that_pays(make_loop: MakeLoop) -> None:
    train = make_loop().train
    assert wants_graphs(train, "cuda", 1000, ALONE)
    assert not wants_graphs(train, "cuda", 10, ALONE)
    assert not wants_graphs(train, "cpu", 1000, ALONE)
    assert not wants_graphs(train, "cuda", 1000, TWO)
    assert wants_compile(train, "cuda", 100_000)
    assert not wants_compile(train, "cuda", 1000)
    assert not wants_compile(train, "cpu", 100_000)
    assert not wants_compile(make_loop(r1_gamma=1.0).train, "cuda", 100_000)


def test_what_is_asked_for_is_done(make_loop: MakeLoop) -> None:
    on, off = (
        make_loop(cuda_graphs=True, compile=True).train,
        make_loop(cuda_graphs=False, compile=False).train,
    )
    assert wants_graphs(on, "cuda", 1, TWO)
    assert not wants_graphs(on, "cpu", 1, ALONE)  # a param file may travel to a machine without a GPU
    assert not wants_graphs(off, "cuda", 10**6, ALONE)
    assert wants_compile(on, "cpu", 1)
    assert not wants_compile(off, "cuda", 10**6)


class Stream:
    def wait_stream(self, _other: object) -> None:
        pass


class Graph:
    """Stands for a CUDA graph: counts its replays, and knows the generator it was told of."""

    made: ClassVar[list["Graph"]] = []

    def __init__(self) -> None:
        self.replays, self.rng = 0, None
        Graph.made.append(self)

    def register_generator_state(self, rng: torch.Generator) -> None:
        self.rng = rng

    def replay(self) -> None:
        self.replays += 1


def test_steps_run_eagerly_at_first_and_are_then_captured_once_a_kind(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Graph, "made", [])
    for name, stub in {
        "CUDAGraph": Graph,
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda _stream: nullcontext(),
        "graph": lambda _graph, stream: nullcontext(),
    }.items():
        monkeypatch.setattr(module.torch.cuda, name, stub)
    trainer = make_loop().trainer
    calls: list[bool] = []
    monkeypatch.setattr(trainer, "step", lambda _i, _l, penalise: calls.append(penalise) or torch.zeros(4))
    engine, images = Engine(trainer, graphs=True, compiled=False), torch.zeros(1)
    kinds = [True, False, False, False] * 4
    for penalise in kinds:
        engine.step(images, None, penalise)
    # eager steps of each kind, and one more call that captures it without running it
    assert calls.count(True) == calls.count(False) == EAGER_STEPS + 1
    assert [graph.replays for graph in Graph.made] == [12 - EAGER_STEPS, 4 - EAGER_STEPS]
    assert all(graph.rng is trainer.draws.rng for graph in Graph.made)
    engine.forget()
    engine.step(images, None, False)
    assert len(Graph.made) == 2  # eager again


@pytest.mark.slow
def test_compiled_networks_train_as_plain_ones_do(make_loop: MakeLoop) -> None:
    plain, compiled = make_loop("plain", compile=False), make_loop("compiled", compile=True)
    plain.run(quiet)
    compiled.run(quiet)
    assert plain.log[0][2:6] == pytest.approx(compiled.log[0][2:6], rel=1e-2)
