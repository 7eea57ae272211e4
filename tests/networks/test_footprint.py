"""The memory that a training needs at least, beside what it takes; and the refusal of what cannot fit."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gan import params
from gan.errors import UserError
from gan.networks.footprint import of_gan, refuse_what_cannot_fit
from tests.conftest import DEFAULTS, ROOT
from tests.stages.project import Project

GB = 10**9
NETWORK = params.load(DEFAULTS).network
TRAIN = """
import sys
from pathlib import Path
import torch
from gan import devices, params
from gan.runtime import memory
from gan.training.feed import Data
from gan.training.loop import Loop
devices.prepare("cpu", "auto")
settings = params.load(Path(sys.argv[1]))
network = settings.network.model_copy(update={"base_channels": 64})
train = settings.train.model_copy(update={"batch_size": 256, "max_steps": 2})
images = torch.randint(0, 256, (256, 1, 64, 64)).byte()
before = memory.peak()
loop = Loop(network, train, Data(images), Path(sys.argv[2]), "cpu")
loop.advance()
loop.advance()
print(memory.peak() - before)
"""


@pytest.mark.slow
def test_a_training_takes_what_was_counted_and_not_many_times_as_much(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAIN, DEFAULTS, tmp_path]
    took = int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    counted = of_gan(NETWORK.model_copy(update={"base_channels": 64}), 64, 1, 0, 256)
    assert 0.5 * GB < counted < took < 3 * counted


def test_the_advised_batch_fits_and_twice_as_much_does_not() -> None:
    def least(batch: int) -> int:
        return of_gan(NETWORK, 32, 1, 10, batch)

    free = least(100)
    refuse_what_cannot_fit("train.batch_size", 100, least, free)
    with pytest.raises(
        UserError, match=r"^params.yaml: train.batch_size: 1000: a step needs .*; lower it to"
    ) as told:
        refuse_what_cannot_fit("train.batch_size", 1000, least, free)
    advised = int(re.findall(r"lower it to (\d+)$", str(told.value))[0])
    assert least(advised) <= free < least(2 * advised)
    with pytest.raises(UserError, match=r"; lower network.base_channels or data.image_size$"):
        refuse_what_cannot_fit("train.batch_size", 1000, least, 1000)
    refuse_what_cannot_fit("train.batch_size", 1000, least, None)


def test_more_channels_pixels_images_and_bytes_take_more() -> None:
    plain = of_gan(NETWORK, 32, 1, 0, 64)
    for other in (
        of_gan(NETWORK.model_copy(update={"base_channels": 32}), 32, 1, 0, 64),
        of_gan(NETWORK, 64, 1, 0, 64),
        of_gan(NETWORK, 32, 1, 0, 128),
        of_gan(NETWORK.model_copy(update={"architecture": "resnet"}), 32, 1, 0, 64),
    ):
        assert other > 1.2 * plain
    assert of_gan(NETWORK, 32, 1, 0, 64, 2) < plain


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "values", "key"),
    [
        ("train", {"network__base_channels": 256, "train__batch_size": 1024}, "train.batch_size: 1024"),
        ("extractor", {"extractor__batch_size": 1400, "data__image_size": 128}, "extractor.batch_size: 1400"),
    ],
)
def test_a_stage_refuses_what_cannot_fit_before_it_begins(
    tmp_path: Path, stage: str, values: dict[str, object], key: str
) -> None:
    project = Project(tmp_path, data__image_size=64, train__device="cpu")
    project.set(**values)
    project.run("download", "prepare", "validate")
    limit = {"train": 8 * GB, "extractor": 5 * GB}[stage]
    line = project.fail(stage, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert line.startswith(f"error: params.yaml: {key}: a step needs ")
    assert not (tmp_path / "models").exists()
    assert not list((tmp_path / ".runs").glob("train-*"))
