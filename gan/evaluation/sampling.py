"""Images out of a generator: the same ones whatever the batch size."""

import torch
from torch import nn

from gan import images, seeds
from gan.networks.build import draw_latents
from gan.params import Network

BATCH = 500


def sample_latents(network: Network, count: int, seed: int, purpose: str = "samples") -> torch.Tensor:
    """Return latents (count, latent_dim), drawn on the CPU: the same for every device and batch."""
    return draw_latents(network, count, seeds.generator(seed, purpose))


@torch.no_grad()
def generate(model: nn.Module, latents: torch.Tensor, device: str) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) on the CPU for latents (N, latent_dim)."""
    model = model.to(device)
    parts = [images.to_uint8(model(part.to(device))) for part in latents.split(BATCH)]
    return torch.cat([torch.from_numpy(part) for part in parts])


def interpolations(network: Network, rows: int, columns: int, seed: int) -> torch.Tensor:
    """Return latents (rows * columns, latent_dim) on great circles between pairs of random ones.

    Spherical, since N(0, 1) in many dimensions lives near a sphere (White 2016, arXiv:1609.04468).
    """
    start, end = sample_latents(network, 2 * rows, seed, "interpolation").chunk(2)
    cosine = nn.functional.cosine_similarity(start, end)[:, None].clamp(-1, 1)
    angle = cosine.acos().clamp(min=1e-4)
    points = [(1 - t) * angle for t in torch.linspace(0, 1, columns)]
    path = [(p.sin() * start + (angle - p).sin() * end) / angle.sin() for p in points]
    return torch.stack(path, 1).flatten(0, 1)
