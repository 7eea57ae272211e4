"""The last layer of every discriminator, and the slope of LeakyReLU."""

import torch
from torch import nn

LEAK = 0.2  # slope of LeakyReLU (Radford 2015, section 4)


class Head(nn.Module):
    """Features (N, units, H, W), labels → logits (N,); ``area`` is H * W, ``classes`` 0 for no labels.

    With one-hot labels (N, classes), the projection discriminator: Miyato & Koyama 2018
    (arXiv:1802.05637), figure 1d. The logit is the sum of two scores: how real the image is, and how
    well its features, averaged over the image, match its label.
    """

    def __init__(self, units: int, area: int, classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(units * area, 1)
        self.embed = nn.Linear(classes, units, bias=False) if classes else None

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N,) for features (N, units, H, W) and one-hot labels (N, classes) or None."""
        logits: torch.Tensor = self.score(features.flatten(1)).squeeze(1)
        if self.embed is not None:
            logits = logits + (self.embed(labels) * features.flatten(2).mean(2)).sum(1)
        return logits
