"""Penalties against gradients found by hand: D(x) = w·x has gradient w, D(x) = a/2 ‖x‖² has a x."""

import pytest
import torch
from torch import nn

from gan.training import penalties
from gan.training.distributed import World
from gan.training.draws import Draws
from gan.training.step import Trainer
from tests.training.conftest import MakeLoop

IMAGES = torch.randn(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))


class Quadratic(nn.Module):
    """D(x) = a/2 ‖x‖²."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.05))

    def forward(self, images: torch.Tensor, _labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.a / 2 * images.flatten(1).square().sum(1)


def test_a_linear_discriminator_has_its_weights_as_gradient() -> None:
    images = IMAGES.clone().requires_grad_()
    weight = torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
    logits, norm = (images * weight).sum((1, 2, 3)), weight.detach().norm()
    zero, one = penalties.zero_centred(logits, images), penalties.one_centred(logits, images)
    assert torch.allclose(zero, norm**2)
    assert torch.allclose(one, (norm - 1) ** 2)
    by_zero, by_one = (torch.autograd.grad(p, weight, retain_graph=True)[0] for p in (zero, one))
    assert torch.allclose(by_zero, 2 * weight, rtol=1e-4)
    assert torch.allclose(by_one, 2 * (norm - 1) * weight / norm, rtol=1e-4)


def test_a_quadratic_discriminator_is_judged_image_by_image() -> None:
    images, model = IMAGES.clone().requires_grad_(), Quadratic()
    norms, a = IMAGES.flatten(1).norm(dim=1), model.a.detach()
    zero = penalties.zero_centred(model(images), images)
    assert torch.allclose(zero, (a * norms).square().mean())
    one = penalties.one_centred(model(images), images)
    assert torch.allclose(one, (a * norms - 1).square().mean())


def test_a_flat_discriminator_has_finite_gradients() -> None:
    images, model = IMAGES.clone().requires_grad_(), Quadratic()
    with torch.no_grad():
        model.a.zero_()
    penalties.one_centred(model(images), images).backward()
    assert model.a.grad is not None
    assert model.a.grad.isfinite()


def test_points_between_lie_on_the_line_from_each_image_to_its_fake() -> None:
    real, fake = torch.zeros(500, 1, 4, 4), torch.ones(500, 1, 4, 4)
    points = penalties.between(real, fake, Draws(0, "cpu"))
    assert points.requires_grad
    shares = points.detach().flatten(1)
    assert torch.equal(shares.amin(1), shares.amax(1))
    assert 0 <= shares.min() < 0.02
    assert 0.98 < shares.max() < 1
    assert shares.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("penalise", [True, False])
@pytest.mark.parametrize(
    ("r1", "r2", "gp"), [(2.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 10.0), (2.0, 3.0, 10.0)]
)
def test_the_step_adds_each_penalty_where_it_belongs_and_lazy_ones_as_often_as_left_out(
    make_loop: MakeLoop, r1: float, r2: float, gp: float, penalise: bool
) -> None:
    changes = {"r1_gamma": r1, "r2_gamma": r2, "gradient_penalty": gp, "penalty_every": 4}
    loop = make_loop(objective="wasserstein", augment_shift=0, **changes)
    model = Quadratic()
    models, draws = (loop.trainer.generator, model, loop.trainer.average), Draws(0, "cpu")
    trainer = Trainer(
        models, loop.network, loop.train, classes=0, draws=draws, world=World(), precision=torch.float32
    )
    real, fake, a = IMAGES[:3], 0.5 * IMAGES[3:], 0.05
    middle = penalties.between(real, fake, Draws(0, "cpu")).detach()
    real_norms, fake_norms, norms = (x.flatten(1).norm(dim=1) for x in (real, fake, middle))
    expected = (fake_norms**2 - real_norms**2).mean() / 2
    if penalise:  # derivatives by a of gamma / 2 (a ‖x‖)² and of lambda (a ‖x‖ - 1)²
        expected = expected + 4 * (r1 * a * (real_norms**2).mean() + r2 * a * (fake_norms**2).mean())
        expected = expected + 4 * gp * 2 * ((a * norms - 1) * norms).mean()
    loss, _, _ = trainer.update_discriminator(real, fake.clone(), None, penalise)
    assert model.a.grad is not None
    assert torch.allclose(model.a.grad, expected, rtol=1e-4)
    assert torch.allclose(
        loss, a * (fake_norms**2 - real_norms**2).mean() / 2, rtol=1e-4
    )  # penalties left out


def test_penalties_are_taken_at_every_such_step_only(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, taken = make_loop(r1_gamma=1.0, penalty_every=3), []
    real = loop.engine.step

    def noted(images: torch.Tensor, labels: torch.Tensor | None, penalise: bool) -> torch.Tensor:
        if penalise:
            taken.append(loop.step)
        return real(images, labels, penalise)

    monkeypatch.setattr(loop.engine, "step", noted)
    loop.run(lambda *_: None)
    assert taken == [0, 3, 6, 9]


@pytest.mark.slow
def test_the_penalty_brings_the_wasserstein_critics_gradients_towards_one(make_loop: MakeLoop) -> None:
    norms = {}
    for penalty in (0.0, 10.0):
        loop = make_loop(
            f"{penalty}",
            objective="wasserstein",
            network_architecture="resnet",
            gradient_penalty=penalty,
            d_steps=3,
            learning_rate=2e-3,
        )
        loop.run(lambda *_: None)
        images = (loop.feed.images[:8].float() / 127.5 - 1).requires_grad_()
        (gradient,) = torch.autograd.grad(loop.trainer.judge(images, None).sum(), images)
        norms[penalty] = gradient.flatten(1).norm(dim=1).mean().item()
    assert norms[0.0] > 3
    assert norms[10.0] == pytest.approx(1, abs=0.5)
