"""One training step: Goodfellow et al. 2014 (arXiv:1406.2661), algorithm 1, for any objective."""

from collections.abc import Callable

import torch
from torch import nn

from gan import images as pixels
from gan.networks import mlp
from gan.networks.build import join, one_hot
from gan.params import Network, Train
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
        self.ema_weight, self.noise, self.probability = torch.zeros(3, device=self.device).unbind()
        for layer in self.discriminator.modules():
            if isinstance(layer, mlp.Dropout):
                layer.uniform = draws.uniform

    def _optimiser(self, model: nn.Module) -> torch.optim.Adam:
        cuda = self.device == "cuda"
        # On CUDA the rate is a tensor, since a captured graph would keep a number for ever.
        rate = (
            torch.tensor(self.train.learning_rate, device=self.device) if cuda else self.train.learning_rate
        )
        betas = (self.train.beta1, self.train.beta2)
        return torch.optim.Adam(model.parameters(), rate, betas, fused=True, capturable=cuda)

    def set_schedule(self, step: int, rate_g: float, rate_d: float, noise: float) -> None:
        """Set what changes from step to step: learning rates, the average's weight, instance noise.

        The first steps weigh more in the average (Karras 2018, arXiv:1710.10196, and EDM2's ramp-up):
        it would otherwise remember the initial weights for long.
        """
        for optimiser, rate in ((self.optimiser_g, rate_g), (self.optimiser_d, rate_d)):
            group = optimiser.param_groups[0]
            group["lr"] = group["lr"].fill_(rate) if isinstance(group["lr"], torch.Tensor) else rate
        self.ema_weight.fill_(1 - min(self.train.ema_decay, (1 + step) / (10 + step)))
        self.noise.fill_(noise)

    def step(self, images: torch.Tensor, labels: Labels, penalise: bool) -> torch.Tensor:
        """Update D ``d_steps`` times, then G, then the average.

        ``images`` uint8 (d_steps * N, C, H, W), ``labels`` int64 (d_steps * N,) or None. Returns
        loss_d, loss_g, d_real and d_fake (4,), means over all processes, on the device.
        """
        real = pixels.to_float(images).contiguous(memory_format=torch.channels_last)
        hot = None if labels is None or not self.classes else one_hot(labels, self.classes)
        count = self.train.d_steps
        for chunk, own in zip(
            real.chunk(count), hot.chunk(count) if hot is not None else [None] * count, strict=True
        ):
            fakes = self.generate(own, len(chunk))
            found = self.update_discriminator(chunk, fakes.detach(), own, penalise)
        loss_g = self.update_generator(chunk, fakes, own)
        self.update_average()
        return means(self.world, [found[0], loss_g, found[1], found[2]])

    def generate(self, labels: Labels, count: int) -> torch.Tensor:
        """Return G(z) (count, C, H, W) for fresh latents, with gradients."""
        dim = self.network.latent_dim
        uniform = self.network.latent_distribution == "uniform"
        latents = self.draws.uniform(count, dim) * 2 - 1 if uniform else self.draws.normal(count, dim)
        with self._precision():
            return self.forward_g(join(latents, labels)).float()

    def update_discriminator(
        self, images: torch.Tensor, fakes: torch.Tensor, labels: Labels, penalise: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1) Update D: tell real ``images`` from ``fakes``. Returns loss_d, d_real, d_fake."""
        train = self.train
        if penalise:
            images, fakes = images.detach().requires_grad_(), fakes.requires_grad_()
        real, fake = self.judge(images, labels), self.judge(fakes, labels)
        loss = total = self.losses(real, fake, 1 - train.label_smoothing)[0]
        if penalise:
            total = total + train.penalty_every * self._penalty(images, fakes, labels, real, fake)
        self.optimiser_d.zero_grad()
        total.backward()
        self.world.average_gradients(self.discriminator.parameters())
        self.optimiser_d.step()
        self._adapt(real.detach())
        return loss, real.sigmoid().mean(), fake.sigmoid().mean()

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
            total = total + self.train.r1_gamma / 2 * penalties.zero_centred(real, images)
        if self.train.r2_gamma:
            total = total + self.train.r2_gamma / 2 * penalties.zero_centred(fake, fakes)
        if self.train.gradient_penalty:
            middle = penalties.between(images.detach(), fakes.detach(), self.draws)
            total = total + self.train.gradient_penalty * penalties.one_centred(
                self.judge(middle, labels), middle
            )
        return total

    def update_generator(self, images: torch.Tensor, fakes: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(2) Update G: make ``fakes`` look real to D. Returns loss_g."""
        self.discriminator.requires_grad_(False)  # spares the gradients of weights not updated here
        fake = self.judge(fakes, labels)
        paired = self.train.objective in objectives.PAIRED
        real = self.judge(images.detach(), labels).detach() if paired else fake.detach()
        loss: torch.Tensor = self.losses(real, fake)[1]
        self.optimiser_g.zero_grad()
        loss.backward()
        self.world.average_gradients(self.generator.parameters())
        self.optimiser_g.step()
        self.discriminator.requires_grad_(True)
        return loss

    def judge(self, images: torch.Tensor, labels: Labels) -> torch.Tensor:
        """D's logits (N,) float32 of images that are changed alike, real or generated."""
        adaptive = self.train.augment_target is not None
        if self.train.instance_noise:  # Sønderby 2017 (arXiv:1610.04490), section 2.2
            images = images + self.noise * self.draws.normal(*images.shape)
        images = self.augment(images, self.draws, self.probability if adaptive else None)
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
