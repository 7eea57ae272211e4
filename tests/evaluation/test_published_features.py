"""Features of published networks: torch-fidelity's digits, weights that are checked, and clear lines.

The published weights are not at hand: torch-fidelity and this project load the same random ones.
"""

import builtins
import hashlib
import http.server
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch_fidelity
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from gan import params
from gan.errors import Unreachable, UserError
from gan.evaluation import feature_metrics, kernel_distance, published_features
from gan.evaluation.feature_extraction import extract
from gan.evaluation.published_features import bring_weights, load_reference
from gan.networks import dinov2
from gan.params import Evaluate
from tests.conftest import DEFAULTS
from tests.data.web_site import SSH, saying

EVALUATE = params.load(DEFAULTS).evaluate


def drawn(count: int, seed: int, channels: int = 3) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4, generator=rng) * (255 - 40 * seed)
    return torch.nn.functional.interpolate(coarse, 32, mode="bilinear").to(torch.uint8)


class Images(torch.utils.data.Dataset):
    """What torch-fidelity takes as an input."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.images[i]


class StandIn(FeatureExtractorBase):
    """A small network for both: ours wraps it, torch-fidelity has it by name."""

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)
        rng = torch.Generator().manual_seed(0)
        self.weight = torch.randn(24, 3, 5, 5, generator=rng) / 20
        self.head = torch.randn(24, 10, generator=rng)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "pooled", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "pooled"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pooled = torch.conv2d(images.float() / 64 - 2, self.weight, stride=2).relu().mean((2, 3))
        outputs = {"pooled": pooled, "logits": pooled @ self.head}
        return tuple(outputs[name] for name in self.features_list)


def test_it_prints_the_digits_of_torch_fidelity() -> None:
    """Its own pipeline from images to figures, on a network that both have."""
    torch_fidelity.register_feature_extractor("stand-in", StandIn)
    real, fake = drawn(200, 0), drawn(200, 1)
    theirs = torch_fidelity.calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        feature_extractor="stand-in",
        fid=True,
        kid=True,
        isc=True,
        prc=True,
        kid_subsets=1,
        kid_subset_size=200,
        isc_splits=1,
        prc_neighborhood=3,
        cuda=False,
        cache=False,
        verbose=False,
    )
    network = published_features.Reference(StandIn("stand-in", ["pooled", "logits"]))
    ours, held_out = (extract(network, images, "cpu") for images in (fake, real))
    digits = {
        "frechet_inception_distance": feature_metrics.frechet_distance(held_out.semantic, ours.semantic),
        "kernel_inception_distance_mean": kernel_distance.kernel_distance(
            held_out.semantic, ours.semantic, held_out.semantic, torch.Generator()
        )[0],
        "inception_score_mean": feature_metrics.class_score(ours.logits),
    }
    for name, value in digits.items():
        assert value == pytest.approx(theirs[name], rel=5e-6), name  # float32 features, other batches
    from gan.evaluation import precision_recall

    result = precision_recall.compare(held_out.semantic, ours.semantic, 3)
    assert result.precision == pytest.approx(theirs["precision"], abs=1e-6)
    assert result.recall == pytest.approx(theirs["recall"], abs=1e-6)


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights of Inception, as torch-fidelity's published one is laid out."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path))
    torch.manual_seed(0)
    weights = {
        name: torch.randn_like(value) * 0.1 + (1.0 if "var" in name else 0.0)
        if value.is_floating_point()
        else value
        for name, value in network.state_dict().items()
    }
    weights = {name: value.abs() if "running_var" in name else value for name, value in weights.items()}
    torch.save(weights, path)
    return path


def with_weights(path: Path, features: str = "inception", **changes: object) -> Evaluate:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return EVALUATE.model_copy(
        update={"features": features, "weights": str(path), "weights_sha256": sha256, **changes}
    )


@pytest.mark.slow
def test_inception_has_torch_fidelity_s_features(inception: Path) -> None:
    network = load_reference(with_weights(inception), "cpu")
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception)
    )
    images = drawn(3, 0)
    features = extract(network, images, "cpu")
    pooled, logits = theirs(images)
    assert torch.equal(features.semantic, pooled)
    assert torch.equal(features.logits, logits)
    assert features.texture is None
    assert pooled.std(0).max() > 0  # the weights do let something through
    grey = drawn(1, 1, channels=1)
    assert torch.equal(extract(network, grey, "cpu").semantic, theirs(grey.repeat(1, 3, 1, 1))[0])


def random_vit(width: int = 128, depth: int = 2) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = dinov2.VisionTransformer(width, depth, 1 + 37 * 37)
    return {name: torch.randn_like(value) * 0.2 for name, value in model.state_dict().items()}


def test_dinov2_sees_what_torch_fidelity_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_vit()
    torch.save(weights, tmp_path / "dinov2.pth")
    network = load_reference(with_weights(tmp_path / "dinov2.pth", "dinov2"), "cpu")
    monkeypatch.setattr(torch.hub, "load", lambda *_: dinov2.from_weights(weights))
    theirs = FeatureExtractorDinoV2("dinov2-vit-s-14", ["dinov2"])
    images = drawn(3, 0)
    features = extract(network, images, "cpu")
    assert torch.equal(features.semantic, theirs(images)[0])
    assert features.logits is None
    assert features.semantic.std(0).max() > 0


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return builtins.exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize("content", ["pickle", "inside", "text", "list"])
def test_weights_that_are_more_than_tensors_are_not_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "weights.pth"
    if content == "pickle":
        path.write_bytes(pickle.dumps(Evil()))
    elif content == "text":
        path.write_text("not a model")
    else:
        torch.save([torch.zeros(1)] if content == "list" else {"a": torch.zeros(1), "b": Evil()}, path)
    with pytest.raises(UserError, match="it is not read"):
        load_reference(with_weights(path), "cpu")


def test_other_weights_than_the_checksum_s_are_not_read(inception: Path, tmp_path: Path) -> None:
    wrong = with_weights(inception, weights_sha256="0" * 64)
    with pytest.raises(UserError, match=r"evaluate\.weights_sha256"):
        bring_weights(wrong)
    with pytest.raises(UserError, match="no such file"):
        bring_weights(with_weights(inception, weights=str(tmp_path / "absent.pth")))


def test_weights_of_another_network_are_told(inception: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the weights of dinov2"):
        load_reference(with_weights(inception, "dinov2"), "cpu")
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="not the weights of inception"):
        load_reference(with_weights(tmp_path / "a.pth"), "cpu")


def test_without_torch_fidelity_one_line_says_so(inception: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity", None)
    with pytest.raises(UserError, match=r"evaluate\.features: 'inception': needs torch-fidelity"):
        load_reference(with_weights(inception), "cpu")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_weights_from_an_address_are_kept(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "served" / "weights.pth"
    torch.save({"a": torch.zeros(3)}, file)
    evaluate = with_weights(file, weights=f"{server}/weights.pth")
    path = bring_weights(evaluate)
    assert path.read_bytes() == file.read_bytes()
    file.unlink()
    assert bring_weights(evaluate) == path  # not asked for again
    path.write_bytes(b"other")
    with pytest.raises(UserError, match="it is not read"):
        bring_weights(evaluate)
    with pytest.raises(UserError, match="give the path of a copy") as caught:
        bring_weights(evaluate)  # gone here, and there
    assert not isinstance(caught.value, Unreachable)


def test_a_dead_address_may_answer_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sought = SimpleNamespace(
        features="inception", weights="http://u:s@127.0.0.1:1/w", weights_sha256="1" * 64
    )
    with pytest.raises(Unreachable) as caught:
        bring_weights(sought)
    assert "u:s" not in str(caught.value)
    assert not list(tmp_path.rglob("*w*.tmp"))


def test_an_address_of_no_web_server_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with saying(SSH) as address:
        sought = SimpleNamespace(features="inception", weights=f"{address}/w", weights_sha256="1" * 64)
        with pytest.raises(Unreachable, match="give the path of a copy"):
            bring_weights(sought)


def test_only_the_published_file_s_distances_are_called_fid(inception: Path) -> None:
    assert not published_features.is_published_inception(with_weights(inception))
    assert published_features.is_published_inception(
        with_weights(inception, weights_sha256="6726825d" + "0" * 56)
    )


@pytest.mark.parametrize("lacking", ["weights", "weights_sha256"])
def test_params_ask_for_weights_before_hours_pass(tmp_path: Path, lacking: str) -> None:
    text = DEFAULTS.read_text()
    text = text.replace("features: extractor ", "features: inception ")
    given = {"weights": "w.pth", "weights_sha256": f'"{"a" * 64}"'}
    for key, value in given.items():
        if key != lacking:
            text = text.replace(f"\n  {key}: null", f"\n  {key}: {value}")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"evaluate\.features: inception: needs .*evaluate\.{lacking}"):
        params.load(tmp_path / "params.yaml")
