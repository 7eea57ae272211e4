"""Objectives against the formulas of their papers, on probabilities, as those write them."""

import inspect
import typing
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gan.params import SMOOTHED, Objective
from gan.training import objectives
from gan.training.distributed import World
from gan.training.draws import Draws
from gan.training.step import Trainer
from tests.training.conftest import MakeLoop

NAMES = typing.get_args(Objective)
Losses = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


def entropies(real: Tensor, fake: Tensor, t: float) -> Tensor:
    p, q = real.sigmoid(), fake.sigmoid()
    return -(t * p.log() + (1 - t) * (1 - p).log()).mean() - (1 - q).log().mean()


def above(tensor: Tensor) -> Tensor:
    return torch.where(tensor > 0, tensor, 0)


def half_square(tensor: Tensor) -> Tensor:
    return (tensor**2).mean() / 2


PAPERS: dict[str, Losses] = {
    "non_saturating": lambda r, f, t: (entropies(r, f, t), -f.sigmoid().log().mean()),
    "minimax": lambda r, f, t: (entropies(r, f, t), (1 - f.sigmoid()).log().mean()),
    "least_squares": lambda r, f, t: (
        ((r - t) ** 2).mean() / 2 + (f**2).mean() / 2,
        ((f - 1) ** 2).mean() / 2,
    ),
    "hinge": lambda r, f, t: (above(1 - r).mean() + above(1 + f).mean(), -f.mean()),
    "wasserstein": lambda r, f, t: (-(r.mean() - f.mean()), -f.mean()),
    "relativistic": lambda r, f, t: (-(r - f).sigmoid().log().mean(), -(f - r).sigmoid().log().mean()),
}


def test_the_table_in_params_names_the_functions_and_every_one_is_tested() -> None:
    functions = inspect.getmembers(objectives, inspect.isfunction)
    public = {
        name for name, f in functions if f.__module__ == objectives.__name__ and not name.startswith("_")
    }
    assert set(NAMES) == public == set(PAPERS)
    assert set(SMOOTHED) | objectives.PAIRED <= public


@pytest.mark.parametrize("target", [1.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_papers(name: str, target: float) -> None:
    rng = torch.Generator().manual_seed(0)
    real, fake = 2 * torch.randn(2, 50, generator=rng, dtype=torch.float64)
    losses = getattr(objectives, name)(real, fake, target)
    assert torch.allclose(torch.stack(losses), torch.stack(PAPERS[name](real, fake, target)), atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_only_the_discriminators_labels_are_smoothed_and_only_where_there_are_labels(name: str) -> None:
    real, fake = torch.tensor([-1.0, 0.5]), torch.tensor([-0.5, 2.0])
    whole, smooth = (getattr(objectives, name)(real, fake, target) for target in (1.0, 0.9))
    assert (whole[0] != smooth[0]) == (name in SMOOTHED)
    assert whole[1] == smooth[1]


@pytest.mark.parametrize("name", NAMES)
def test_losses_fall_in_the_direction_that_each_network_is_to_go(name: str) -> None:
    logits = torch.rand(2, 20, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss_d, loss_g = getattr(objectives, name)(*logits)
    by_real, by_fake = torch.autograd.grad(loss_d, logits)[0]
    assert (by_real < 0).all()
    assert (by_fake > 0).all()
    real, fake = torch.autograd.grad(getattr(objectives, name)(*logits)[1], logits)[0]
    assert (fake < 0).all()
    assert bool(real.any()) == (name in objectives.PAIRED)
    assert loss_g.dim() == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_sure_discriminator_gives_finite_losses_and_gradients(name: str) -> None:
    logits = torch.tensor([[300.0, -300.0], [-300.0, 300.0]], requires_grad=True)
    losses = getattr(objectives, name)(*logits, 0.9)
    sum(losses).backward()
    assert torch.stack(losses).isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_new_objective_is_one_function_and_its_name(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def pull(real: Tensor, fake: Tensor, target: float = 1.0) -> tuple[Tensor, Tensor]:
        seen.append(target)
        return 3 + 0 * real.mean(), 5 + 0 * fake.mean()

    monkeypatch.setattr(objectives, "pull", pull, raising=False)
    loop = make_loop(label_smoothing=0.1)
    old, train = loop.trainer, loop.train.model_copy(update={"objective": "pull"})
    models = old.generator, old.discriminator, old.average
    trainer = Trainer(
        models,
        loop.network,
        train,
        classes=0,
        draws=Draws(0, "cpu"),
        world=World(),
        precision=torch.float32,
    )
    loss_d, loss_g, _, _ = trainer.step(torch.zeros(8, 1, 32, 32, dtype=torch.uint8), None, False)
    assert (loss_d, loss_g) == (3, 5)
    assert seen == [0.9, 1.0]  # smoothed for the discriminator alone
