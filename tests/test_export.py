"""ONNX: every kind of generator, any batch, what PyTorch computes; and what the file tells of itself."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from gan import files
from gan.errors import UserError
from gan.export import __main__ as export
from gan.networks.build import join, one_hot
from gan.networks.model_file import load_generator
from tests.conftest import ROOT
from tests.provenance.conftest import MakeModel, make_model

__all__ = ["make_model"]  # a fixture

slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("architecture", "classes", "changes"),
    [
        ("dcgan", 3, {}),
        pytest.param("dcgan", 0, {"network_dense_units": 16, "network_kernel_size": 5}, marks=slow),
        pytest.param("resnet", 3, {}, marks=slow),
        pytest.param("resnet", 0, {}, marks=slow),
        pytest.param("residual", 3, {}, marks=slow),
        pytest.param("projected", 3, {}, marks=slow),
        pytest.param("mlp", 3, {}, marks=slow),
        pytest.param("mlp", 0, {"network_latent_distribution": "uniform"}, marks=slow),
    ],
)
def test_onnx_computes_what_pytorch_does(
    make_model: MakeModel, tmp_path: Path, architecture: str, classes: int, changes: dict[str, object]
) -> None:
    model = make_model(classes=classes, network_architecture=architecture, **changes)
    target = tmp_path / "generator.onnx"
    export.export(model, target)
    generator = load_generator(model)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == ["latents", "labels"][: 1 + bool(classes)]
    for count in (1, 3, 50):
        latents = torch.randn(count, 8)
        labels = torch.arange(count) % classes if classes else None
        feed = {"latents": latents.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
        (output,) = session.run(["images"], feed)
        with torch.no_grad():
            hot = None if labels is None else one_hot(labels, classes)
            wanted = generator.model(join(latents, hot)).numpy()
        assert output.shape == (count, 3, 32, 32)
        assert wanted.std() > 0.02
        assert np.abs(output - wanted).max() < export.TOLERANCE
    proto = onnx.load(target)
    facts = {item.key: item.value for item in proto.metadata_props}
    assert facts["model_sha256"] == files.sha256_file(model)
    assert json.loads(facts["config"]) == generator.config
    assert facts["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    content = target.read_bytes()
    for secret in (str(ROOT), str(tmp_path), str(Path(torch.__file__).parent), "site-packages"):
        assert secret.encode() not in content
    if architecture == "dcgan" and classes:
        export.export(model, target)
        assert target.read_bytes() == content


def test_what_differs_is_not_written(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(network_architecture="mlp", classes=0)
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match="ONNX Runtime differs from PyTorch by"):
        export.export(model, tmp_path / "a.onnx")
    monkeypatch.setattr(export, "_compare", lambda *_: float("nan"))
    with pytest.raises(UserError, match="differs from PyTorch by nan"):
        export.export(model, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
