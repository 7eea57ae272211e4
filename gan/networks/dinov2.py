"""The vision transformer of DINOv2 (Oquab et al. 2023, arXiv:2304.07193), for its published weights.

torch-fidelity gets the network from torch.hub, which executes downloaded code. The names and the
arithmetic here are those of facebookresearch/dinov2 (dinov2/models/vision_transformer.py), without
registers.
"""

import torch
import torch.nn.functional as F
from torch import nn

PATCH = 14
HEAD = 64  # width of an attention head
OFFSET = 0.1  # the published models add this when they resize their position embeddings


class VisionTransformer(nn.Module):
    """Images (N, 3, H, W), normalised, H and W multiples of 14 → (N, width), the class token."""

    def __init__(self, width: int, depth: int, positions: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, positions, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # in the published weights; used in training
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the class token (N, width) float32 for normalised images (N, 3, H, W)."""
        tokens = self.patch_embed["proj"](images)
        position_embedding = self._positions(*tokens.shape[2:])
        tokens = (
            torch.cat([self.cls_token.expand(len(images), -1, -1), tokens.flatten(2).mT], 1)
            + position_embedding
        )
        for block in self.blocks:
            tokens = block(tokens)
        features: torch.Tensor = self.norm(tokens)[:, 0]
        return features

    def _positions(self, rows: int, columns: int) -> torch.Tensor:
        """Return position embeddings (1, 1 + rows * columns, width)."""
        side = round((self.pos_embed.shape[1] - 1) ** 0.5)
        if rows == columns == side:
            return self.pos_embed
        square = self.pos_embed[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        scale = ((rows + OFFSET) / side, (columns + OFFSET) / side)
        sized = F.interpolate(square, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], sized.flatten(2).mT], 1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": torch.ones(width)}) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.ls1["gamma"] * self._attention(self.norm1(x))
        inner = self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))
        result: torch.Tensor = x + self.ls2["gamma"] * inner
        return result

    def _attention(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.attn["qkv"](x).unflatten(2, (3, -1, HEAD)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        mixed: torch.Tensor = self.attn["proj"](attended.transpose(1, 2).flatten(2))
        return mixed


def from_weights(weights: dict[str, torch.Tensor]) -> VisionTransformer:
    """Build the network for published weights (ViT-S, B or L). Raises RuntimeError or KeyError."""
    depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    model = VisionTransformer(weights["cls_token"].shape[2], depth, weights["pos_embed"].shape[1])
    model.load_state_dict(weights)
    return model.eval()
