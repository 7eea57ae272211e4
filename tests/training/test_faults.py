"""Collapses that are planted in real trainings, and what `on_collapse` and `patience` make of them."""

import re
from typing import Any

import pytest
import torch

from gan.errors import UserError
from gan.networks import build
from gan.training import faults
from gan.training.loop import Loop
from tests.training.conftest import NETWORKS, MakeLoop

LATENTS = 8  # of `make_loop`'s networks
KINDS = pytest.mark.parametrize("kind", ["dcgan", "dcgan with classes", "residual", "mlp"])


def quiet(_step: int, _text: str) -> None:
    pass


def plant(loop: Loop, first: int) -> None:
    """Have the generator ignore its latents after ``first`` steps: one image is left, or one a class."""

    def ignore(_model: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        if loop.step < first:
            return inputs
        return (torch.cat([torch.zeros_like(inputs[0][:, :LATENTS]), inputs[0][:, LATENTS:]], 1),)

    for model in (loop.trainer.generator, loop.trainer.average):  # copies keep it
        model.register_forward_pre_hook(ignore)


def plain(make_loop: MakeLoop, kind: str, **changes: object) -> Loop:
    """Make a loop of six snapshots, two steps apart, of a generator whose samples vary from the start."""
    rates = {"learning_rate": 1e-5, "ema_decay": 0.0}
    loop = make_loop(**NETWORKS[kind], **{**rates, "snapshots": 6, "log_every": 2, **changes})
    for model in (loop.trainer.generator, loop.trainer.average):
        for tensor in model.parameters():
            tensor.data.mul_({"dcgan": 6, "residual": 1, "mlp": 40}[loop.network.architecture])
    return loop


@KINDS
def test_latents_that_are_ignored_stop_it_at_the_next_snapshot(make_loop: MakeLoop, kind: str) -> None:
    loop = plain(make_loop, kind, on_collapse="stop")
    plant(loop, 7)
    with pytest.raises(UserError) as stopped:
        loop.run(quiet)
    assert re.match(
        r"train: step 8: (diversity 0\.\d\d, )?repetition 0\.0\d \(1 for real images\)", str(stopped.value)
    )
    assert "\n" not in str(stopped.value)
    assert "train.on_collapse to rollback" in str(stopped.value)
    assert [look[2] > 0.25 for look in loop.looks] == [True, True, True, False]
    assert sorted(path.name for path in (loop.folder / "snapshots").iterdir())[:3] == [
        f"step-{step:09d}.safetensors" for step in (2, 4, 6)
    ]


@KINDS
def test_a_warning_is_one_line_a_snapshot(
    make_loop: MakeLoop, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = plain(make_loop, kind)
    plant(loop, 9)
    loop.run(quiet)
    lines = [line for line in capsys.readouterr().err.splitlines() if "much alike" in line]
    assert [re.search(r"step (\d+): ", line)[1] for line in lines] == ["10", "12"]  # type: ignore[index]


def test_a_rollback_returns_to_the_last_snapshot_that_was_well(
    make_loop: MakeLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = plain(make_loop, "dcgan", on_collapse="rollback")
    seen: list[int] = []

    def ignore(_model: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        seen.append(loop.step)
        planted = loop.attempt == 0 and loop.step >= 7  # a rollback heals it
        return (torch.zeros_like(inputs[0]),) if planted else inputs

    for model in (loop.trainer.generator, loop.trainer.average):
        model.register_forward_pre_hook(ignore)
    loop.run(quiet)
    assert re.search(r"step 8: .* back to step 6 with half the learning rate", capsys.readouterr().err)
    assert (loop.step, loop.attempt, len(loop.looks)) == (12, 1, 6)
    assert [row[0] for row in loop.log] == [2, 4, 6, 8, 10, 12]
    assert [row[6] for row in loop.log] == pytest.approx([1e-5] * 3 + [5e-6] * 3)
    assert not any(faults.signs(look) for look in loop.looks)


def test_patience_ends_it_with_all_snapshots_and_a_row(make_loop: MakeLoop) -> None:
    loop = plain(make_loop, "dcgan", patience=2, log_every=100)
    figures = iter([3.0, 2.0, 2.5, 2.0, 1.0, 1.0])
    real = loop.look.at

    def at(model: torch.nn.Module, latents: torch.Tensor) -> list[float]:
        return [next(figures), *real(model, latents)[1:]]

    loop.look.at = at  # type: ignore[method-assign]
    loop.run(quiet)
    assert (loop.step, [row[0] for row in loop.log][-1]) == (8, 8)
    assert len(list((loop.folder / "snapshots").iterdir())) == 4
    again = plain(make_loop, "dcgan", patience=2, log_every=100)
    again.run(quiet)  # the state says that it ended
    assert (again.step, again.log, again.looks) == (8, loop.log, loop.looks)


def test_a_young_generator_is_not_judged_and_an_older_one_is() -> None:
    alike, healthy = [2.0, 0.1, 0.1], [1.0, 0.9, 0.9]
    assert faults.collapse([alike, alike], 150) is None
    assert faults.collapse([healthy, alike], 150) is not None
    assert faults.collapse([alike, alike], 200) is not None
    assert faults.collapse([alike, healthy], 200) is None


@pytest.mark.parametrize(
    ("distances", "patience", "ended"),
    [
        ([1.0, 2.0, 3.0], None, False),
        ([1.0, 2.0], 2, False),
        ([1.0, 2.0, 1.0], 2, True),
        ([1.0, 2.0, 0.9], 2, False),
        ([3.0, 2.0, 1.0], 1, False),
        ([1.0, 1.0], 1, True),
    ],
)
def test_patience(distances: list[float], patience: int | None, ended: bool) -> None:
    assert faults.improves_no_more(distances, patience) == ended


def test_with_few_images_there_is_nothing_to_compare(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "LEAST_IMAGES", 41)
    loop = plain(make_loop, "dcgan", on_collapse="stop")
    plant(loop, 1)
    loop.run(quiet)
    assert (loop.step, loop.looks) == (12, [])


def test_a_look_takes_nothing_from_the_training_and_does_not_depend_on_threads(make_loop: MakeLoop) -> None:
    loop = plain(make_loop, "dcgan")
    model: Any = loop.trainer.average.eval()
    latents = build.draw_latents(loop.network, faults.LOOKED_AT, torch.Generator().manual_seed(0))
    state, found = torch.get_rng_state(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(faults.Look(loop.feed.images).at(model, latents))
    assert torch.equal(torch.get_rng_state(), state)
    assert found[0] == found[1]
