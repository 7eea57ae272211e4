"""Keys of a test's own, and small generators."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gan import params
from gan.networks import build, model_file
from gan.provenance import keys
from tests.conftest import DEFAULTS

MakeModel = Callable[..., Path]


@pytest.fixture(autouse=True)
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for keys; those of whoever runs the tests are never touched."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for variable in (keys.KEY, keys.CERTIFICATE, keys.MARK):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "config"


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write a model file of an untrained generator; keywords change `network` or the file's config."""

    def make(name: str = "generator.safetensors", classes: int = 3, **changes: object) -> Path:
        small = {"base_channels": 4, "latent_dim": 8, "hidden_units": 16}
        settings = {
            key.removeprefix("network_"): v for key, v in changes.items() if key.startswith("network_")
        }
        network = params.load(DEFAULTS).network.model_copy(update={**small, **settings})
        model = build.build_generator(network, 32, 3, classes)
        build.initialise(model, 0, "generator")
        larger = {"dcgan": 4, "resnet": 1, "residual": 1, "projected": 4, "mlp": 12}[network.architecture]
        for tensor in model.parameters():  # untrained weights are so small that every image is grey
            tensor.data.mul_(larger)
        config = {
            "network": network.model_dump(),
            "train": {"threads": 1},
            "image_size": 32,
            "channels": 3,
            "class_counts": [30, 20, 10][:classes] or None,
            "classes": ["ant", "bee", "cat"][:classes] or None,
            "images_seen": 640,
            **{key: value for key, value in changes.items() if not key.startswith("network_")},
        }
        model_file.save(tmp_path / name, model.state_dict(), config)
        return tmp_path / name

    return make
