"""Features of published networks: Inception and DINOv2, which papers use, and EfficientNet-Lite0.

torch-fidelity, through which the first two are computed, unpickles weights, which may execute code. Here
a file is read only if its checksum is the one in params.yaml, and only as tensors. torch-fidelity then gets
those tensors. EfficientNet-Lite0 needs neither: its weights come in a package (gan/networks).
"""

import http.client
import io
import pickle  # only the name of its error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import nn

from gan import files
from gan.data.images import to_float
from gan.errors import Unreachable, UserError
from gan.networks import dinov2, efficientnet_lite
from gan.params import Evaluate
from gan.urls import is_address, redacted

KEPT = files.RUNS / "weights"
SECONDS = 30.0  # the download fails if the server is silent for this long
# The file that torch-fidelity itself downloads has its checksum in its name (weights-inception-2015-12-05-…).
PUBLISHED_INCEPTION = "6726825d"
Outputs = tuple[torch.Tensor | None, torch.Tensor, None]


class Reference(nn.Module):
    """A published network with the interface of our own extractor; it has no texture features."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> Outputs:
        """Return logits (N, K) or None, features (N, d) float32, and None; images uint8 (N, 1 or 3, H, W)."""
        features, *logits = self.network(images.expand(-1, 3, -1, -1))
        return (logits[0] if logits else None), features, None


class Scaled(nn.Module):
    """A network that takes pixels from -1 to 1, for images uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what the network gives for ``images`` uint8 (N, C, H, W)."""
        outputs: tuple[torch.Tensor, ...] = self.network(to_float(images))
        return outputs


def load_reference(evaluate: Evaluate, device: str) -> Reference:
    """Return the network ``evaluate.features`` with the weights ``evaluate.weights``, on ``device``.

    ``efficientnet`` has weights of its own. Raises UserError if the package of those, or torch-fidelity for
    the others, is not installed, or if the weights cannot be read, have another checksum, contain more than
    tensors, or belong to another network.
    """
    if evaluate.features == "efficientnet":
        classifier = efficientnet_lite.Classifier()
        classifier.fill()
        return Reference(Scaled(classifier)).to(device).eval()
    try:
        from torch_fidelity import feature_extractor_dinov2, feature_extractor_inceptionv3  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"params.yaml: evaluate.features: {evaluate.features!r}: needs torch-fidelity, which is not "
            f"installed here ({error}); install the extra `fidelity`, or use extractor"
        ) from None
    path = bring_weights(evaluate)
    weights = read_weights(path)
    try:
        network = _inception(weights) if evaluate.features == "inception" else _dinov2(weights)
    except (RuntimeError, KeyError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not the weights of {evaluate.features} ({reason})") from None
    return Reference(network).to(device).eval()


def checksum(evaluate: Evaluate) -> str | None:
    """Return the SHA-256 of the weights that ``load_reference`` looks through."""
    return efficientnet_lite.SHA256 if evaluate.features == "efficientnet" else evaluate.weights_sha256


def is_published_inception(evaluate: Evaluate) -> bool:
    """Say whether the Fréchet distance is torch-fidelity's FID: its network with its published weights."""
    return evaluate.features == "inception" and (evaluate.weights_sha256 or "").startswith(
        PUBLISHED_INCEPTION
    )


def bring_weights(evaluate: Evaluate) -> Path:
    """Return the weights' path, downloaded from an address. Raises UserError on a wrong checksum."""
    source, wanted = evaluate.weights or "", evaluate.weights_sha256 or ""
    path = files.users_path(source)
    if is_address(source):
        path = KEPT / wanted
        if not path.is_file():
            _download(source, path)
    if not path.is_file():
        raise UserError(f"params.yaml: evaluate.weights: {source}: no such file; correct it")
    actual = files.sha256_file(path)
    if actual != wanted:
        if is_address(source):
            path.unlink()
        raise UserError(
            f"params.yaml: evaluate.weights: {redacted(source)} has the SHA-256 {actual}, not {wanted} "
            "(evaluate.weights_sha256); it is not read"
        )
    return path


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict of tensors; nothing in it is executed. Raises UserError for anything else."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = str(error).splitlines()[0][:100]
        raise UserError(f"{path}: not a file of tensors alone ({reason}); it is not read") from None
    if not isinstance(weights, dict) or not all(torch.is_tensor(value) for value in weights.values()):
        raise UserError(f"{path}: not a state dict (names and tensors); it is not read")
    return weights


def _download(address: str, path: Path) -> None:
    if urlsplit(address).scheme not in ("http", "https"):
        raise UserError(f"params.yaml: evaluate.weights: {redacted(address)}: only http and https addresses")
    try:
        with (
            urllib.request.urlopen(address, timeout=SECONDS) as answer,  # noqa: S310 - http or https
            files.atomic_writer(path) as target,
        ):
            while block := answer.read(1 << 20):
                target.write(block)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.filename == str(path):
            raise
        status = getattr(error, "code", 500)
        kind = Unreachable if status >= 500 else UserError
        raise kind(
            f"params.yaml: evaluate.weights: no download from {redacted(address)} ({redacted(str(error))}); "
            "give the path of a copy"
        ) from None


def _inception(weights: dict[str, torch.Tensor]) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    tensors = io.BytesIO()  # torch-fidelity unpickles this, so we write it ourselves
    torch.save(weights, tensors)
    tensors.seek(0)
    network: nn.Module = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=tensors
    )
    return network


def _dinov2(weights: dict[str, torch.Tensor]) -> nn.Module:
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    class DinoV2(FeatureExtractorDinoV2):  # type: ignore[misc]
        """torch-fidelity's extractor with our network."""

        def __init__(self) -> None:
            FeatureExtractorBase.__init__(self, "dinov2", ["dinov2"])
            self.feature_extractor_internal_dtype = torch.float32
            self.model = dinov2.from_weights(weights)

    return DinoV2()
