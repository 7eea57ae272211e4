"""The feature extractor: a small residual-free convolutional classifier of the set's own labels.

Where the set has none it learns which way up an image is (RotNet: Gidaris, Singh, Komodakis 2018,
arXiv:1803.07728), so evaluation works for any images and with no download.
"""

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = (24, 48, 96, 128)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Extractor(nn.Module):
    """uint8 images (N, C, H, W), H and W at least 32 → class logits (N, classes) and features."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, channels: int, classes: int, mean: float, std: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.stem = _block(channels, WIDTHS[0], stride=2)
        self.blocks = nn.ModuleList(_block(WIDTHS[i - 1], WIDTHS[i]) for i in range(1, len(WIDTHS)))
        self.top = _block(WIDTHS[-1], WIDTHS[-1])
        self.head = nn.Linear(WIDTHS[-1], classes)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits (N, classes), semantic features (N, 128) and texture features (N, 72).

        Semantic: the penultimate layer, pooled. Texture: the two earliest, pooled; a one-pixel
        checkerboard moves them and not the semantic ones.
        """
        x = ((images.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        texture = [x.mean((2, 3))]
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == 0:
                texture.append(x.mean((2, 3)))
            x = F.max_pool2d(x, 2)
        semantic = self.top(x).mean((2, 3))
        return self.head(semantic), semantic, torch.cat(texture, 1)
