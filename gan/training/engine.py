"""How a step runs: eagerly, compiled, or as one CUDA graph.

A step of small images has about 300 kernels, and a GPU waits longer for each launch than it computes.
A graph launches all of them at once. `auto` chooses what is faster for the number of steps;
docs/performance.md has the measurements.
"""

import torch

from gan.params import Train
from gan.params.fields import Ramp
from gan.training.distributed import World
from gan.training.step import Trainer

EAGER_STEPS = 3  # before a capture: libraries choose and load their kernels, Adam makes its moments
GRAPH_PAYS = 100  # steps
COMPILE_PAYS = 50_000  # steps; compiling takes half a minute, and a step is then some 0.5 ms faster


def wants_graphs(train: Train, device: str, steps: int, world: World) -> bool:
    """Say whether the steps run as CUDA graphs; `auto` does not use them with several processes."""
    if train.cuda_graphs == "auto":
        if isinstance(train.beta2, Ramp):  # a captured graph would keep the first value
            return False
        return device == "cuda" and world.size == 1 and steps >= GRAPH_PAYS
    return device == "cuda" and train.cuda_graphs


def wants_compile(train: Train, device: str, steps: int) -> bool:
    """Say whether the networks are compiled; on the CPU it gained nothing, so `auto` does not."""
    if train.compile == "auto":
        return device == "cuda" and not train.penalised and steps >= COMPILE_PAYS
    return train.compile


class Engine:
    """Runs ``trainer``'s steps; the bits do not depend on whether they come from a graph."""

    def __init__(self, trainer: Trainer, *, graphs: bool, compiled: bool) -> None:
        self.trainer, self.graphs = trainer, graphs
        self.eager = {True: 0, False: 0}
        self.captured: dict[bool, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}
        self.stream = torch.cuda.Stream() if graphs else None
        if compiled:
            trainer.forward_g = torch.compile(trainer.generator)
            trainer.forward_d = torch.compile(trainer.discriminator)

    def step(self, images: torch.Tensor, labels: torch.Tensor | None, penalise: bool) -> torch.Tensor:
        """As ``Trainer.step``; ``images`` and ``labels`` must be the same memory at each call."""
        if self.stream is None:
            return self.trainer.step(images, labels, penalise)
        if self.eager[penalise] < EAGER_STEPS:
            self.eager[penalise] += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                figures = self.trainer.step(images, labels, penalise)
            torch.cuda.current_stream().wait_stream(self.stream)
            return figures
        if penalise not in self.captured:
            self.captured[penalise] = self._capture(images, labels, penalise)
        graph, figures = self.captured[penalise]
        graph.replay()
        return figures

    def _capture(
        self, images: torch.Tensor, labels: torch.Tensor | None, penalise: bool
    ) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        """Record one step without running it."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.trainer.draws.rng)
        with torch.cuda.graph(graph, stream=self.stream):
            figures = self.trainer.step(images, labels, penalise)
        return graph, figures

    def forget(self) -> None:
        """Capture the graphs again, because the memory that they use has moved."""
        self.eager, self.captured = {True: 0, False: 0}, {}
