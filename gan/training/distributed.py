"""Several processes as one: PyTorch's own launcher and collectives (torch.distributed).

Each process computes an equal share of every batch. Gradients and batch statistics are summed
over all, so the weights stay the same everywhere; one process, the writer, writes files.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.rendezvous import rendezvous

from gan.errors import UserError


def launched() -> bool:
    """Say whether torchrun has started this process (then RANK and its like are set)."""
    return "RANK" in os.environ


def writes() -> bool:
    """Say whether this process is the one that writes, or alone."""
    return os.environ.get("RANK", "0") == "0"


def launch(module: str, devices: int) -> None:
    """Run `python -m module` in ``devices`` processes, as `torchrun --standalone` does.

    Raises UserError when one of them fails; it has then said why.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else torchrun warns; each process sets its own number
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what follows says it
    arguments = ["--standalone", f"--nproc-per-node={devices}", "-m", module]
    try:
        torchrun.main(arguments)
    except SignalException:
        raise KeyboardInterrupt from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode == 1:  # it has said why, in one line
            raise SystemExit(1) from None
        raise UserError(
            f"train: process {rank} of {devices} ended with status {failure.exitcode} (see above); "
            "run the same command again to go on from the last checkpoint"
        ) from None


@dataclass(frozen=True)
class World:
    """This process's place: ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def writer(self) -> bool:
        """Whether this is the one process that writes files and lines."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return ``tensor`` summed over all processes, in place; no gradients."""
        if self.size > 1:
            all_reduce(tensor)
        return tensor

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes, in one collective."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients])).div_(self.size)
        averages = flat.split([gradient.numel() for gradient in gradients])
        for gradient, average in zip(gradients, averages, strict=True):
            gradient.copy_(average.view_as(gradient))

    def share(self, content: bytes | None, device: str) -> bytes | None:
        """Return the writer's ``content`` in every process; what the others give is ignored."""
        if self.size == 1:
            return content
        length = torch.tensor([-1 if content is None else len(content)], device=device)
        dist.broadcast(length, 0)
        if length.item() < 0:
            return None
        data = torch.empty(int(length), dtype=torch.uint8, device=device)
        if self.writer and content is not None:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(data, 0)
        return data.cpu().numpy().tobytes()


def join(device: str) -> World:
    """Join the process group if torchrun started this process; otherwise return a single-process world."""
    if not launched():
        return World()
    if device == "cuda":
        here, there = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if here > there:
            raise UserError(
                f"params.yaml: train.devices: {here} processes, and this machine has {there} CUDA devices; "
                "start at most as many"
            )
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, size = next(rendezvous("env://"))
    # torchrun keeps its store over a restart, with the addresses of processes that are gone.
    store = dist.PrefixStore(  # type: ignore[attr-defined]
        f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store
    )
    try:
        backend = "nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    except RuntimeError as error:
        raise UserError(
            f"train: the processes cannot reach one another ({str(error).splitlines()[0]}); run the same "
            "command again"
        ) from None
    return World(dist.get_rank(), dist.get_world_size())


def all_reduce(tensor: torch.Tensor) -> None:
    """Sum ``tensor`` over all processes, in place. Raises UserError when one of them is gone."""
    try:
        dist.all_reduce(tensor)
    except RuntimeError as error:
        raise UserError(
            f"train: another process of this training is gone ({str(error).splitlines()[0]}); run the same "
            "command again to go on from the last checkpoint"
        ) from None


def leave() -> None:
    """Leave the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """A sum over all processes; its gradient is the sum of theirs, and so is that one's."""

    @staticmethod
    def forward(_context: object, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        all_reduce(total)
        return total

    @staticmethod
    def backward(_context: object, *gradients: torch.Tensor) -> torch.Tensor:
        return sum_with_gradients(gradients[0].contiguous())


def sum_with_gradients(tensor: torch.Tensor) -> torch.Tensor:
    """Return ``tensor`` summed over all processes; differentiable as often as needed."""
    total: torch.Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
    return total


class SyncBatchNorm(nn.Module):
    """Batch normalisation over the batches of all processes: Ioffe & Szegedy 2015, algorithm 1.

    torch's own runs on CUDA alone and cannot be differentiated twice, which penalties need.
    Same parameters, buffers and names as the nn.BatchNorm layer it stands in for.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d, size: int) -> None:
        super().__init__()
        self.size, self.eps, self.momentum = size, layer.eps, layer.momentum
        self.weight, self.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Normalise ``inputs`` (N, C) or (N, C, H, W); in training by statistics over all processes."""
        shape = [1, -1] + [1] * (inputs.dim() - 2)
        dims = [dim for dim in range(inputs.dim()) if dim != 1]
        values = inputs.float()
        if self.training:
            count = values.numel() // values.shape[1] * self.size
            mean = sum_with_gradients(values.sum(dims)) / count
            centred = values - mean.view(shape)
            variance = sum_with_gradients(centred.square().sum(dims)) / count
            self._track(mean.detach(), variance.detach() * count / (count - 1))
        else:
            centred, variance = values - self.running_mean.view(shape), self.running_var
        scale = (variance + self.eps).rsqrt() * self.weight
        normal: torch.Tensor = centred * scale.view(shape) + self.bias.view(shape)
        return normal.to(inputs.dtype)

    @torch.no_grad()
    def _track(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(variance, self.momentum or 0.0)
        self.num_batches_tracked += 1


def synchronise(model: nn.Module, world: World) -> nn.Module:
    """Make every batch normalisation of ``model`` use the batches of all processes."""
    if world.size == 1:
        return model
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, SyncBatchNorm(layer, world.size))
    return model


def means(world: World, values: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the means over all processes of scalars, as one vector."""
    return world.sum(torch.stack(list(values)).detach()) / world.size
