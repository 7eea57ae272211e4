"""Training with a projected discriminator: the same bits when killed, what it is combined with, its hint."""

from pathlib import Path

import pytest
import torch

from gan import params
from gan.errors import UserError
from gan.networks import efficientnet_lite
from gan.params import Network, Train
from gan.stages.train import made_for_few
from gan.training.distributed import World
from gan.training.loop import Data, Loop
from tests.conftest import DEFAULTS, ROOT
from tests.training.test_loop import assert_same, killed_at, quiet

RECIPE = params.load(ROOT / "recipes" / "few.yaml")


def made(folder: Path, classes: int = 0, world: World | None = None, **changes: object) -> Loop:
    """The recipe, small: 32×32 pixels, 3 steps of 2 images, and ``changes`` of train."""
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, 3, 32, 32), generator=rng).to(torch.uint8)
    data = Data(images, torch.arange(12) % 2, 2) if classes else Data(images)
    network = RECIPE.network.model_dump() | {"base_channels": 2, "conditional": bool(classes)}
    short = {"batch_size": 2, "max_steps": 3, "snapshots": 1, "log_every": 1, "checkpoint_seconds": 0}
    train = RECIPE.train.model_dump() | short | changes
    models = Network.model_validate(network), Train.model_validate(train)
    return Loop(*models, data, folder, "cpu", world=world or World())


def test_killed_and_run_again_gives_the_same_bits(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    whole.run(quiet)
    killed_at(made(tmp_path / "killed"), 2)
    again = made(tmp_path / "killed")
    again.run(quiet)
    assert_same(again, whole)
    assert (max(again.folder.glob("state-*"))).stat().st_size < 30_000_000  # no features among them


@pytest.mark.parametrize(
    ("classes", "changes"),
    [
        (2, {}),
        pytest.param(0, {"r1_gamma": 1.0, "r2_gamma": 1.0}, marks=pytest.mark.slow),
        pytest.param(0, {"objective": "wasserstein", "gradient_penalty": 10.0}, marks=pytest.mark.slow),
        pytest.param(0, {"objective": "relativistic", "augment_target": 0.6}, marks=pytest.mark.slow),
        pytest.param(0, {"objective": "non_saturating", "label_smoothing": 0.1}, marks=pytest.mark.slow),
        pytest.param(0, {"instance_noise": 0.1, "d_steps": 2}, marks=pytest.mark.slow),
        pytest.param(0, {"augment_color": 0.0, "augment_cutout": 0.0}, marks=pytest.mark.slow),
    ],
)
def test_both_networks_learn_whatever_it_is_combined_with(
    tmp_path: Path, classes: int, changes: dict[str, object]
) -> None:
    loop = made(tmp_path, classes, **changes)
    before = {name: tensor.clone() for name, tensor in loop.models().items()}
    loop.run(quiet)
    after = loop.models()
    for part in ("generator.", "discriminator.heads.0", "discriminator.heads.3"):
        moved = [not torch.equal(after[name], old) for name, old in before.items() if name.startswith(part)]
        assert any(moved)
    assert all(tensor.isfinite().all() for tensor in after.values())


def test_the_features_stay_as_they_were_published(tmp_path: Path) -> None:
    loop = made(tmp_path)
    loop.run(quiet)
    fresh = efficientnet_lite.EfficientNetLite()
    fresh.fill()
    trained = dict(loop.trainer.discriminator.features.named_buffers())
    assert trained.keys() == dict(fresh.named_buffers()).keys()
    assert all(torch.equal(trained[name], tensor) for name, tensor in fresh.named_buffers())


def test_a_batch_in_parts_is_refused() -> None:
    values = RECIPE.model_dump(by_alias=True)
    values["train"]["accumulate"] = 2
    with pytest.raises(Exception, match=r"train.accumulate: 2: the batch normalisation of projected needs"):
        params.check(values, "few.yaml")


@pytest.mark.parametrize(("batch_size", "devices", "fits"), [(8, 2, True), (12, 2, False), (6, 1, True)])
def test_a_device_gets_whole_groups(batch_size: int, devices: int, fits: bool) -> None:
    values = RECIPE.model_dump(by_alias=True)
    values["train"] |= {"batch_size": batch_size, "devices": devices}
    if fits:
        params.check(values, "few.yaml")
        return
    with pytest.raises(Exception, match=r"train.devices: 2: .* a multiple of 4 of train.batch_size 12"):
        params.check(values, "few.yaml")


def test_a_process_of_torchrun_gets_whole_groups(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train.batch_size: 12: each of 2 processes needs a multiple of 4"):
        made(tmp_path, world=World(0, 2), batch_size=12)
    made(tmp_path, batch_size=12)


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        ((210, 3, 64, 64), True),
        ((1999, 3, 32, 32), True),
        ((2000, 3, 64, 64), False),
        ((210, 1, 64, 64), False),  # grey: the features are of colour photos
    ],
)
def test_the_recipe_for_few_images_is_named(shape: tuple[int, ...], named: bool) -> None:
    other = params.load(DEFAULTS).network
    expected = f"{shape[0]} images: recipes/few.yaml is made for that" if named else None
    assert made_for_few(other, shape) == expected
    assert made_for_few(RECIPE.network, shape) is None


def test_the_default_run_is_not_told_of_it() -> None:
    assert made_for_few(params.load(DEFAULTS).network, (1437, 1, 32, 32)) is None
