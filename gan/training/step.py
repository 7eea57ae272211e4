"""One training step: Goodfellow et al. 2014 (arXiv:1406.2661), algorithm 1, for any objective."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import torch
from torch import nn

from gan.data import images as pixels
from gan.networks import mlp
from gan.networks.build import join, one_hot
from gan.params import Network, Train
from gan.params.fields import value_at
from gan.training import objectives, penalties
from gan.training.augment import Augment
from gan.training.distributed import World, means
from gan.training.draws import Draws

Labels = torch.Tensor | None


class Trainer:
    """Generator, discriminator, their optimisers and the generator's weight average.

    ``step`` updates all of them once; nothing in it waits for the device, and it reads and writes
    the same memory every time, so that a CUDA graph can hold it.
    """

    def __init__(
        self,
        models: tuple[nn.Module, nn.Module, nn.Module],
        network: Network,
        train: Train,
        *,
        classes: int,
        draws: Draws,
        world: World,
        precision: torch.dtype,
    ) -> None:
        self.generator, self.discriminator, self.average = models
        self.network, self.train, self.classes = network, train, classes
        self.draws, self.world, self.precision = draws, world, precision
        self.device = draws.rng.device.type
        self.forward_g: Callable[..., torch.Tensor] = self.generator
        self.forward_d: Callable[..., torch.Tensor] = self.discriminator
        self.losses = getattr(objectives, train.objective)
        self.augment = Augment(train.augment_shift, train.augment_color, train.augment_cutout)
        self.optimiser_g, self.optimiser_d = (
            self._optimiser(self.generator),
            self._optimiser(self.discriminator),
        )
        self.ema_weight, self.noise, self.probability, self.r1, self.r2 = torch.zeros(
            5, device=self.device
        ).unbind()
        for layer in self.discriminator.modules():
            if isinstance(layer, mlp.Dropout):
                layer.uniform = draws.uniform
        self.set_schedule(0, 0.0)

    def _optimiser(self, model: nn.Module) -> torch.optim.Adam:
        cuda = self.device == "cuda"
        # On CUDA the rate is a tensor, since a captured graph would keep a number for ever.
        rate = torch.tensor(self.learning_rate(0), device=self.device) if cuda else self.learning_rate(0)
        betas = (self.train.beta1, value_at(self.train.beta2, 0))
        return torch.optim.Adam(model.parameters(), rate, betas, fused=True, capturable=cuda)

    def learning_rate(self, step: int, attempt: int = 0) -> float:
        """G's learning rate at a step: the param's, decayed exponentially; halved by each rollback."""
        decayed: float = self.train.lr_decay_factor ** (step / self.train.lr_decay_steps) * 0.5**attempt
        return value_at(self.train.learning_rate, step * self.train.per_step) * decayed

    def set_schedule(self, step: int, progress: float, attempt: int = 0) -> None:
        """Set what changes from step to step; ``progress`` is from 0 to 1.

        The first steps weigh more in the average (Karras 2018, arXiv:1710.10196, and EDM2's ramp-up):
        it would otherwise remember the initial weights for long.
        """
        train, images = self.train, step * self.train.per_step
        rate = self.learning_rate(step, attempt)
        base = value_at(train.learning_rate, images)
        rate_d = rate * value_at(train.learning_rate_d or train.learning_rate, images) / base
        for optimiser, new in ((self.optimiser_g, rate), (self.optimiser_d, rate_d)):
            group = optimiser.param_groups[0]
            group["lr"] = group["lr"].fill_(new) if isinstance(group["lr"], torch.Tensor) else new
            group["betas"] = (train.beta1, value_at(train.beta2, images))
        self.ema_weight.fill_(1 - min(value_at(train.ema_decay, images), (1 + step) / (10 + step)))
        self.noise.fill_(train.instance_noise * (1 - progress))
        self.r1.fill_(value_at(train.r1_gamma, images) / 2)
        self.r2.fill_(value_at(train.r2_gamma, images) / 2)
        if train.augment_target is None:
            self.probability.fill_(value_at(train.augment_share, images))

    def step(self, images: torch.Tensor, labels: Labels, penalise: bool) -> torch.Tensor:
        """Update D ``d_steps`` times, then G, then the average.

        ``images`` uint8 (d_steps * N, C, H, W), ``labels`` int64 (d_steps * N,) or None. Returns
        loss_d, loss_g, d_real and d_fake (4,), means over all processes, on the device.
        """
        real = pixels.to_float(images).contiguous(memory_format=torch.channels_last)
        hot = None if labels is None or not self.classes else one_hot(labels, self.classes)
        count = self.train.d_steps
        for chunk, chunk_labels in zip(
            real.chunk(count), hot.chunk(count) if hot is not None else [None] * count, strict=True
        ):
            latents = self.latents(len(chunk))
            fakes = self.fakes(latents, chunk_labels)
            discriminator_figures = self.update_discriminator(chunk, fakes.detach(), chunk_labels, penalise)
        again = latents if self.train.accumulate > 1 else None
        loss_g = self.update_generator(chunk, fakes, chunk_labels, again)
        self.update_average()
        return means(
            self.world, [discriminator_figures[0], loss_g, discriminator_figures[1], discriminator_figures[2]]
        )

    def latents(self, count: int) -> torch.Tensor:
        """Return fresh latents (count, latent_dim)."""
        dim = self.network.latent_dim
        uniform = self.network.latent_distribution == "uniform"
        return self.draws.uniform(count, dim) * 2 - 1 if uniform else self.draws.normal(count, dim)

    def generate(self, latents: torch.Tensor, labels: Labels) -> torch.Tensor:
        """Return G(z) (N, C, H, W), with gradients."""
        with self._precision():
            return self.forward_g(join(latents, labels)).float()

    def fakes(self, latents: torch.Tensor, labels: Labels) -> torch.Tensor:
        """Return G(z); a part at a time and without gradients where those of G come part by part, too."""
        if self.train.accumulate == 1:
            return self.generate(latents, labels)
        with torch.no_grad():
            return torch.cat([self.generate(*part) for part in self._parts(latents, labels)])

    def _parts(self, *tensors: Labels) -> Iterator[tuple[Any, ...]]:
        """Yield the parts of a batch, whose gradients are added up: each tensor's rows, None for None."""
        count = self.train.accumulate
        if count == 1:
            yield tensors
            return
        yield from zip(*(repeat(None, count) if t is None else t.chunk(count) for t in tensors), strict=True)

    def _weighed(self, loss: torch.Tensor) -> torch.Tensor:
        """Return a part's share of the loss of the whole batch."""
        return loss if self.train.accumulate == 1 else loss / self.train.accumulate

    def update_discriminator(
        self, images: torch.Tensor, fakes: torch.Tensor, labels: Labels, penalise: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1) Update D: tell real ``images`` from ``fakes``. Returns loss_d, d_real, d_fake."""
        train, figures = self.train, []
        self.optimiser_d.zero_grad()
        for part_images, part_fakes, part_labels in self._parts(images, fakes, labels):
            real_images, fake_images = part_images.detach(), part_fakes
            if penalise:
                real_images, fake_images = real_images.requires_grad_(), fake_images.requires_grad_()
            real, fake = self.judge(real_images, part_labels), self.judge(fake_images, part_labels)
            loss = total = self.losses(real, fake, 1 - train.label_smoothing)[0]
            if penalise:
                penalty = self._penalty(real_images, fake_images, part_labels, real, fake)
                total = total + train.penalty_every * penalty
            self._weighed(total).backward()
            figures.append((loss.detach(), real.detach(), fake.detach()))
        self.world.average_gradients(self.discriminator.parameters())
        self.optimiser_d.step()
        losses, reals, logits = ([part[i] for part in figures] for i in range(3))
        self._adapt(_joined(reals))
        return _mean(losses), _joined(reals).sigmoid().mean(), _joined(logits).sigmoid().mean()

    def _penalty(
        self,
        images: torch.Tensor,
        fakes: torch.Tensor,
        labels: Labels,
        real: torch.Tensor,
        fake: torch.Tensor,
    ) -> torch.Tensor:
        """The penalties that are on. Taken every few steps, they count so many times (Karras 2020, 2.2)."""
        total = real.new_zeros(())
        if self.train.r1_gamma:
            total = total + self.r1 * penalties.zero_centred(real, images)
        if self.train.r2_gamma:
            total = total + self.r2 * penalties.zero_centred(fake, fakes)
        if self.train.gradient_penalty:
            middle = penalties.between(images.detach(), fakes.detach(), self.draws)
            total = total + self.train.gradient_penalty * penalties.one_centred(
                self.judge(middle, labels), middle
            )
        return total

    def update_generator(
        self, images: torch.Tensor, fakes: torch.Tensor, labels: Labels, latents: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(2) Update G: make ``fakes`` look real to D. Returns loss_g.

        With ``latents`` the fakes are made of them again, a part at a time.
        """
        self.discriminator.requires_grad_(False)  # spares the gradients of weights not updated here
        paired, losses = self.train.objective in objectives.PAIRED, []
        self.optimiser_g.zero_grad()
        for part_images, part_fakes, part_labels, part in self._parts(images, fakes, labels, latents):
            made = part_fakes if part is None else self.generate(part, part_labels)
            fake = self.judge(made, part_labels)
            real = self.judge(part_images.detach(), part_labels).detach() if paired else fake.detach()
            loss: torch.Tensor = self.losses(real, fake)[1]
            self._weighed(loss).backward()
            losses.append(loss.detach())
        self.world.average_gradients(self.generator.parameters())
        self.optimiser_g.step()
        self.discriminator.requires_grad_(True)
        return _mean(losses)

    def judge(self, images: torch.Tensor, labels: Labels) -> torch.Tensor:
        """D's logits (N,) or (N, places) float32 of images that are changed alike, real or generated."""
        always = self.train.augment_target is None and self.train.augment_share == 1
        if self.train.instance_noise:  # Sønderby 2017 (arXiv:1610.04490), section 2.2
            images = images + self.noise * self.draws.normal(*images.shape)
        images = self.augment(images, self.draws, None if always else self.probability)
        with self._precision():
            return self.forward_d(images, labels).float()

    @torch.no_grad()
    def _adapt(self, real: torch.Tensor) -> None:
        """Move the augmentation's probability so that D is `augment_target` sure of training images.

        Karras 2020 (arXiv:2006.06676), equation 1: r_t = E[sign(D(train))], here at every step.
        """
        if self.train.augment_target is None:
            return
        sure = means(self.world, [real.sign().mean()])[0]
        move = self.train.batch_size / self.train.augment_adapt_images
        self.probability.add_((sure - self.train.augment_target).sign() * move).clamp_(0, 1)

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the average towards the generator by ``ema_weight``."""
        for mean, current in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(current, self.ema_weight)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == torch.bfloat16)


def _mean(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(list(parts)).mean()


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


@torch.no_grad()
def recompute_statistics(model: nn.Module, batches: list[torch.Tensor]) -> None:
    """Set each batch normalisation's running statistics to the mean over ``batches`` of inputs.

    Averaged weights have other activations than the statistics gathered beside the raw weights
    (Izmailov et al. 2018, arXiv:1803.05407, section 3.2). Leaves the model in evaluation mode.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
    model.train()
    for inputs in batches if layers else []:
        model(inputs)
    model.eval()
