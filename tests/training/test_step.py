"""The step against the equations of the paper, written out anew."""

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F

from gan.training.step import recompute_statistics
from tests.training.conftest import MakeLoop


def test_the_losses_are_the_papers(make_loop: MakeLoop) -> None:
    trainer = make_loop(ema_decay=0.0, augment_shift=0).trainer
    generator, discriminator = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.discriminator)
    rng = torch.Generator().manual_seed(1)
    images, latents = torch.rand(8, 1, 32, 32, generator=rng) * 2 - 1, torch.randn(8, 8, generator=rng)
    loss_d, loss_g, d_real, d_fake = trainer.step(images, latents, 0, 2e-4, rng)

    fakes = generator(latents).detach()
    real, fake = discriminator(images).sigmoid(), discriminator(fakes).sigmoid()
    expected = -(real.log().mean() + (1 - fake).log().mean())
    assert torch.allclose(loss_d, expected, atol=1e-5)
    assert torch.allclose(d_real, real.mean(), atol=1e-5)
    assert torch.allclose(d_fake, fake.mean(), atol=1e-5)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    expected.backward()
    optimiser.step()
    after = F.binary_cross_entropy_with_logits(discriminator(fakes), torch.ones(8))
    assert torch.allclose(loss_g, after, atol=1e-4)


def equal(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_each_update_moves_its_own_network_only(make_loop: MakeLoop) -> None:
    trainer = make_loop().trainer
    generator, discriminator = trainer.generator, trainer.discriminator
    before = copy.deepcopy(generator.state_dict()), copy.deepcopy(discriminator.state_dict())
    images = torch.zeros(8, 1, 32, 32)
    rng = torch.Generator()
    trainer._update_discriminator(images, images, rng)
    assert equal(before[0], generator.state_dict())
    assert not equal(before[1], discriminator.state_dict())
    weights = {name: weight.clone() for name, weight in discriminator.named_parameters()}
    trainer._update_generator(generator(torch.randn(8, 8)), rng)
    assert equal(weights, dict(discriminator.named_parameters()))
    assert all(weight.requires_grad for weight in discriminator.parameters())
    assert not equal(before[0], generator.state_dict())


def test_the_average_is_the_average(make_loop: MakeLoop) -> None:
    trainer = make_loop(ema_decay=0.9).trainer
    with torch.no_grad():
        for weight in trainer.generator.parameters():
            weight.fill_(1.0)
        for weight in trainer.average.parameters():
            weight.fill_(0.0)
    trainer._update_average(1000)
    assert all(torch.allclose(w, torch.tensor(0.1)) for w in trainer.average.parameters())
    trainer._update_average(0)  # the first steps weigh 9 in 10
    assert all(torch.allclose(w, torch.tensor(0.91)) for w in trainer.average.parameters())


def test_recomputed_statistics_are_those_of_the_batches(make_loop: MakeLoop) -> None:
    model = copy.deepcopy(make_loop().trainer.generator)
    batches = [torch.randn(16, 8) for _ in range(4)]
    recompute_statistics(model, batches)
    projected = torch.stack([model.project[:2](batch) for batch in batches])
    norm = model.project[2]
    assert torch.allclose(norm.running_mean, projected.mean((0, 1, 3, 4)), atol=1e-6)
    assert not model.training
