"""The step against the equations of the paper, written out anew, for every kind of network."""

import copy
import weakref
from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan.training.draws import Draws
from gan.training.loop import Loop
from gan.training.step import Trainer, recompute_statistics
from tests.training.conftest import NETWORKS, MakeLoop

KINDS = pytest.mark.parametrize("kind", NETWORKS)
PLAIN = {"augment_shift": 0, "network_dropout": 0.0, "ema_decay": 0.0}  # nothing random but the latents


def batch(trainer: Trainer, count: int = 8) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Images, and labels for a trainer that wants them."""
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 1, 32, 32), generator=rng).to(torch.uint8)
    return images, torch.randint(0, 2, (count,), generator=rng) if trainer.classes else None


def latents(step: int, count: int) -> torch.Tensor:
    draws = Draws(0, "cpu")
    draws.begin("step", step)
    return torch.cat([draws.normal(8, 8) for _ in range(count)])


def begin(trainer: Trainer, rate: float = 2e-4) -> None:
    trainer.train = trainer.train.model_copy(update={"learning_rate": rate})
    trainer.set_schedule(0, 0.0)
    trainer.draws.begin("step", 0)


def equal(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


@KINDS
@pytest.mark.parametrize("d_steps", [1, 3])
def test_the_losses_and_the_updates_are_the_papers(make_loop: MakeLoop, kind: str, d_steps: int) -> None:
    trainer = make_loop(**PLAIN, **NETWORKS[kind], d_steps=d_steps).trainer
    generator, discriminator = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.discriminator)
    images, labels = batch(trainer, 8 * d_steps)
    begin(trainer)
    loss_d, loss_g, d_real, d_fake = trainer.step(images, labels, False)

    optimiser = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    z = latents(0, d_steps)
    for i in range(0, 8 * d_steps, 8):
        pixels, inputs, hot = images[i : i + 8] / 127.5 - 1, z[i : i + 8], None
        if labels is not None:
            hot = torch.eye(2)[labels[i : i + 8]]
            inputs = torch.cat([inputs, 3 * hot], 1)
        fakes = generator(inputs)
        real, fake = discriminator(pixels, hot).sigmoid(), discriminator(fakes.detach(), hot).sigmoid()
        expected = -(real.log().mean() + (1 - fake).log().mean())
        optimiser.zero_grad()
        expected.backward()
        optimiser.step()
    assert torch.allclose(loss_d, expected, atol=1e-5)
    assert torch.allclose(d_real, real.mean(), atol=1e-5)
    assert torch.allclose(d_fake, fake.mean(), atol=1e-5)
    logits = discriminator(fakes, hot)
    after = F.binary_cross_entropy_with_logits(logits, torch.ones(8))
    assert torch.allclose(loss_g, after, atol=1e-4)
    optimiser = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    after.backward()
    optimiser.step()
    for updated, model in ((trainer.generator, generator), (trainer.discriminator, discriminator)):
        pairs = zip(updated.parameters(), model.parameters(), strict=True)
        apart = torch.cat([(a - b).abs().flatten() for a, b in pairs])
        # Not the maximum: where a gradient is 0, Adam's first step is as long for a rounding error.
        assert apart.median() < 1e-5


@KINDS
def test_each_update_moves_its_own_network_only(make_loop: MakeLoop, kind: str) -> None:
    trainer = make_loop(**NETWORKS[kind]).trainer
    generator, discriminator = trainer.generator, trainer.discriminator
    before = copy.deepcopy(generator.state_dict()), copy.deepcopy(discriminator.state_dict())
    images = torch.zeros(8, 1, 32, 32)
    hot = torch.eye(2)[[0, 1] * 4] if trainer.classes else None
    trainer.update_discriminator(images, images.clone(), hot, False)
    assert equal(before[0], generator.state_dict())
    assert not equal(before[1], discriminator.state_dict())
    weights = {name: weight.clone() for name, weight in discriminator.named_parameters()}
    trainer.update_generator(images, trainer.generate(trainer.latents(8), hot), hot)
    assert equal(weights, dict(discriminator.named_parameters()))
    assert all(weight.requires_grad for weight in discriminator.parameters())
    moved = {n for n, w in generator.named_parameters() if not torch.equal(w, before[0][n])}
    # In a residual network the last layer of a block is 0 at first and passes no gradient to those before it.
    waiting = {n for n, _ in generator.named_parameters() if ".widen." in n or ".mix." in n}
    assert moved == {n for n, _ in generator.named_parameters()} - waiting


@KINDS
def test_shapes_and_types(make_loop: MakeLoop, kind: str) -> None:
    trainer = make_loop(**NETWORKS[kind]).trainer
    hot = torch.eye(2)[[0, 1] * 4] if trainer.classes else None
    fakes = trainer.generate(trainer.latents(8), hot)
    assert (fakes.shape, fakes.dtype) == ((8, 1, 32, 32), torch.float32)
    logits = trainer.judge(fakes, hot)
    assert (logits.shape, logits.dtype) == ((8,), torch.float32)
    figures = trainer.step(*batch(trainer), False)
    assert (figures.shape, figures.dtype, figures.requires_grad) == ((4,), torch.float32, False)


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind.endswith("classes")])
def test_both_networks_look_at_the_labels(make_loop: MakeLoop, kind: str) -> None:
    trainer = make_loop(**PLAIN, **NETWORKS[kind]).trainer
    zeros, ones = torch.eye(2)[[0] * 8], torch.eye(2)[[1] * 8]
    gradients = []
    for hot in (zeros, ones):
        begin(trainer)
        gradients.append(trainer.generate(trainer.latents(8), hot))
    assert not torch.equal(*gradients)
    assert not torch.equal(*(trainer.judge(gradients[0], hot) for hot in (zeros, ones)))


def test_without_conditions_the_labels_of_the_data_are_left_alone(make_loop: MakeLoop) -> None:
    loop = make_loop()
    assert loop.feed.labels is None
    assert loop.config()["class_counts"] is None
    assert make_loop(network_conditional=True).config()["class_counts"] == [30, 10]


def test_the_paired_objective_shows_the_generator_real_images(make_loop: MakeLoop) -> None:
    trainer = make_loop(**PLAIN, **NETWORKS["resnet"], objective="relativistic").trainer
    images = batch(trainer)[0] / 127.5 - 1
    fakes = trainer.generate(trainer.latents(8), None)
    with torch.no_grad():
        real, fake = trainer.judge(images, None), trainer.judge(fakes, None)
    loss = trainer.update_generator(images, fakes, None)
    assert torch.allclose(loss, -(fake - real).sigmoid().log().mean(), atol=1e-6)


def first_moves(loop: Loop) -> list[float]:
    """How far a first step has moved each network: Adam's first move is its rate, for any gradient."""
    before = [copy.deepcopy(m) for m in (loop.trainer.generator, loop.trainer.discriminator)]
    loop.advance()
    return [
        max((a - b).abs().max().item() for a, b in zip(m.parameters(), old.parameters(), strict=True))
        for m, old in zip((loop.trainer.generator, loop.trainer.discriminator), before, strict=True)
    ]


def test_the_discriminator_may_have_a_learning_rate_of_its_own(make_loop: MakeLoop) -> None:
    assert first_moves(make_loop(learning_rate=1e-4)) == pytest.approx([1e-4, 1e-4], rel=0.01)
    options = {"learning_rate": 1e-4, "learning_rate_d": 4e-4, "lr_decay_factor": 0.5, "lr_decay_steps": 3}
    assert first_moves(make_loop(**options)) == pytest.approx([1e-4, 4e-4], rel=0.01)
    loop = make_loop(**options)
    loop.step = 3
    assert first_moves(loop) == pytest.approx([0.5e-4, 2e-4], rel=0.01)


def test_instance_noise_is_seen_by_the_discriminator_and_falls_to_zero(make_loop: MakeLoop) -> None:
    loop, seen = make_loop(**PLAIN, instance_noise=0.3, objective="hinge"), []
    weight = next(loop.trainer.discriminator.parameters())

    def look(images: torch.Tensor, _labels: torch.Tensor | None) -> torch.Tensor:
        seen.append(images.detach())
        return images.mean((1, 2, 3)) + weight.mean()

    loop.trainer.forward_d = look
    levels = []
    for _ in range(loop.total):
        loop.advance()
        levels.append(loop.trainer.noise.item())
    assert levels == pytest.approx([0.3 * (12 - step) / 12 for step in range(12)])
    images = torch.zeros(8, 1, 32, 32)
    for level in (0.3, 0.0):
        loop.trainer.noise.fill_(level)
        loop.trainer.judge(images, None)
    assert seen[-2].std() == pytest.approx(0.3, rel=0.05)
    assert torch.equal(seen[-1], images)
    # Real and generated images alike, with noise of their own.
    assert len(seen) == 3 * loop.total + 2


@pytest.mark.parametrize("architecture", ["dcgan", pytest.param("resnet", marks=pytest.mark.slow), "mlp"])
def test_spectral_normalisation_keeps_the_largest_singular_values_at_one(
    make_loop: MakeLoop, architecture: str
) -> None:
    largest = {}
    for norm in (True, False):
        loop = make_loop(
            f"{norm}",
            network_architecture=architecture,
            network_spectral_norm=norm,
            network_mlp_activation="leaky_relu",
            objective="hinge",
            learning_rate=5e-3,
        )
        loop.run(lambda *_: None)
        modules = loop.trainer.discriminator.modules()
        weights = [m.weight.detach().flatten(1) for m in modules if isinstance(m, nn.Linear | nn.Conv2d)]
        largest[norm] = torch.stack([torch.linalg.svdvals(weight)[0] for weight in weights])
    assert ((largest[True] - 1).abs() < 0.2).all()
    assert ((largest[False] - 1).abs() > 0.2).any()


@pytest.mark.parametrize(
    "kind", ["dcgan", pytest.param("resnet with classes", marks=pytest.mark.slow), "mlp"]
)
def test_bfloat16_gives_losses_near_those_of_float32(make_loop: MakeLoop, kind: str) -> None:
    logs = []
    for precision in ("fp32", "bf16"):
        loop = make_loop(precision, **NETWORKS[kind], precision=precision)
        loop.run(lambda *_: None)
        logs.append(torch.tensor(loop.log))
        assert {tensor.dtype for tensor in loop.models().values()} <= {torch.float32, torch.int64}
    assert torch.allclose(*logs, rtol=0.05)
    assert not torch.allclose(*logs, rtol=1e-5)


def test_the_average_is_the_average(make_loop: MakeLoop) -> None:
    trainer = make_loop(ema_decay=0.9).trainer
    with torch.no_grad():
        for weight in trainer.generator.parameters():
            weight.fill_(1.0)
        for weight in trainer.average.parameters():
            weight.fill_(0.0)
    trainer.set_schedule(1000, 0.0)
    trainer.update_average()
    assert all(torch.allclose(w, torch.tensor(0.1)) for w in trainer.average.parameters())
    trainer.set_schedule(0, 0.0)
    trainer.update_average()  # the first steps weigh 9 in 10
    assert all(torch.allclose(w, torch.tensor(0.91)) for w in trainer.average.parameters())


def test_ramps_go_from_one_value_to_another_by_images(make_loop: MakeLoop) -> None:
    def ramp(start: float, end: float) -> dict[str, float]:
        return {"from": start, "to": end, "over": 80}  # images; a step sees 8

    trainer = make_loop(
        learning_rate=ramp(1e-3, 1e-4),
        learning_rate_d=ramp(2e-3, 4e-3),
        beta2=ramp(0.9, 0.99),
        r1_gamma=ramp(2.0, 1.0),
        r2_gamma=ramp(0.0, 1.0),
        ema_decay=ramp(0.5, 0.7),
        augment_share=ramp(0.0, 0.4),
    ).trainer
    for step, share in ((0, 0.0), (5, 0.5), (10, 1.0), (90, 1.0)):
        trainer.set_schedule(step, 0.0)
        group_g, group_d = trainer.optimiser_g.param_groups[0], trainer.optimiser_d.param_groups[0]
        assert group_g["lr"] == pytest.approx(1e-3 - 9e-4 * share)
        assert group_d["lr"] == pytest.approx(2e-3 + 2e-3 * share)
        assert group_g["betas"] == group_d["betas"] == pytest.approx((0.5, 0.9 + 0.09 * share))
        assert trainer.r1.item() == pytest.approx((2 - share) / 2)
        assert trainer.r2.item() == pytest.approx(share / 2)
        assert trainer.ema_weight.item() == pytest.approx(
            1 - min((1 + step) / (10 + step), 0.5 + 0.2 * share)
        )
        assert trainer.probability.item() == pytest.approx(0.4 * share)


@pytest.mark.parametrize("kind", ["residual with classes", "mlp"])
@pytest.mark.parametrize("objective", ["non_saturating", "relativistic"])
def test_gradients_of_parts_add_up_to_those_of_the_batch(
    make_loop: MakeLoop, kind: str, objective: str
) -> None:
    weights = []
    penalties = {"objective": objective, "r1_gamma": 1.0, "r2_gamma": 1.0}
    for parts in (1, 4):
        trainer = make_loop(f"{parts}", **PLAIN, **NETWORKS[kind], **penalties, accumulate=parts).trainer
        images, labels = batch(trainer)
        begin(trainer)
        figures = trainer.step(images, labels, True)
        gradients = [p.grad for n in (trainer.discriminator, trainer.generator) for p in n.parameters()]
        weights.append([figures, *gradients])
    for whole, added in zip(*weights, strict=True):
        assert torch.allclose(whole, added, rtol=1e-3, atol=1e-6)
    assert any(gradient.abs().max() > 1e-3 for gradient in weights[0][1:])


def test_parts_take_less_memory(make_loop: MakeLoop) -> None:
    """Activations that wait for the backward pass are those of one part."""
    largest = []
    for parts in (1, 4):
        trainer = make_loop(f"{parts}", **PLAIN, **NETWORKS["residual"], accumulate=parts).trainer
        begin(trainer)
        live, most = 0, 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal live, most
            live += tensor.nbytes
            most = max(most, live)
            weakref.finalize(copied := tensor.clone(), gone, tensor.nbytes)
            return copied

        def gone(size: int) -> None:
            nonlocal live
            live -= size

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            trainer.step(*batch(trainer), False)
        largest.append(most)
    assert largest[1] < 0.5 * largest[0]


def test_recomputed_statistics_are_those_of_the_batches(make_loop: MakeLoop) -> None:
    model = copy.deepcopy(make_loop().trainer.generator)
    batches = [torch.randn(16, 8) for _ in range(4)]
    recompute_statistics(model, batches)
    projected = torch.stack([model.project[:2](batch) for batch in batches])
    norm = model.project[2]
    assert torch.allclose(norm.running_mean, projected.mean((0, 1, 3, 4)), atol=1e-6)
    assert not model.training
