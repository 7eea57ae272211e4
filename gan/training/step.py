"""One training step: Goodfellow et al. 2014 (arXiv:1406.2661), algorithm 1, non-saturating."""

import torch
import torch.nn.functional as F
from torch import nn

from gan.training.augment import translate


class Trainer:
    """Generator, discriminator, their optimisers and the generator's weight average.

    ``step`` updates all of them once; nothing in it waits for the device.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        average: nn.Module,
        *,
        betas: tuple[float, float],
        ema_decay: float,
        augment_shift: int,
    ) -> None:
        self.generator, self.discriminator, self.average = generator, discriminator, average
        self.ema_decay, self.augment_shift = ema_decay, augment_shift
        self.optimiser_g = torch.optim.Adam(generator.parameters(), betas=betas, fused=True)
        self.optimiser_d = torch.optim.Adam(discriminator.parameters(), betas=betas, fused=True)

    def step(
        self,
        images: torch.Tensor,
        latents: torch.Tensor,
        step: int,
        learning_rate: float,
        rng: torch.Generator,
    ) -> torch.Tensor:
        """Update D, then G, then the average, on real ``images`` (N, C, H, W) in [-1, 1].

        ``step`` counts from 0; ``rng`` draws the augmentation. Returns loss_d, loss_g, d_real and
        d_fake (4,) on the device.
        """
        for optimiser in (self.optimiser_d, self.optimiser_g):
            optimiser.param_groups[0]["lr"] = learning_rate
        fakes = self.generator(latents)
        loss_d, d_real, d_fake = self._update_discriminator(images, fakes.detach(), rng)
        loss_g = self._update_generator(fakes, rng)
        self._update_average(step)
        return torch.stack([loss_d, loss_g, d_real, d_fake]).detach()

    def _update_discriminator(
        self, images: torch.Tensor, fakes: torch.Tensor, rng: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1) Update D: maximise log D(x) + log(1 - D(G(z)))."""
        real, fake = self._judge(images, rng), self._judge(fakes, rng)
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()  # the same on logits, stable
        self.optimiser_d.zero_grad()
        loss.backward()
        self.optimiser_d.step()
        return loss, real.sigmoid().mean(), fake.sigmoid().mean()

    def _update_generator(self, fakes: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """(2) Update G: maximise log D(G(z)), not minimise log(1 - D(G(z))): its gradient vanishes."""
        self.discriminator.requires_grad_(False)  # spares the gradients of weights not updated here
        loss = F.softplus(-self._judge(fakes, rng)).mean()
        self.optimiser_g.zero_grad()
        loss.backward()
        self.optimiser_g.step()
        self.discriminator.requires_grad_(True)
        return loss

    def _judge(self, images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """D's logits (N,) of images that are augmented alike, real or generated."""
        logits: torch.Tensor = self.discriminator(translate(images, self.augment_shift, rng))
        return logits

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        """Move the average towards the generator; the first steps count less (Karras 2018, EMA)."""
        decay = min(self.ema_decay, (1 + step) / (10 + step))
        for mean, current in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)


@torch.no_grad()
def recompute_statistics(model: nn.Module, batches: list[torch.Tensor]) -> None:
    """Set each batch normalisation's running statistics to the mean over ``batches`` of latents.

    Averaged weights have other activations than the statistics gathered beside the raw weights
    (Izmailov et al. 2018, arXiv:1803.05407, section 3.2). Leaves the model in evaluation mode.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
    model.train()
    for latents in batches if layers else []:
        model(latents)
    model.eval()
