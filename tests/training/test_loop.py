"""The loop: the same bits however often it is killed, what it writes, what it refuses."""

import errno
import itertools
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gan import files as io
from gan import xmp
from gan.errors import UserError
from gan.networks import model_file
from gan.training import loop as loops
from gan.training import resume_state
from gan.training.loop import COLUMNS, ROLLBACKS, Data, Loop
from tests.training.conftest import NETWORKS, MakeLoop

KINDS = {
    "dcgan": {},
    "mlp": {"network_architecture": "mlp"},
    "hinge, resnet, classes, spectral norm": {
        **NETWORKS["resnet with classes"],
        "network_spectral_norm": True,
        "objective": "hinge",
    },
    "residual, ramps, accumulated, on a watch": {
        **NETWORKS["residual with classes"],
        "objective": "relativistic",
        "r1_gamma": {"from": 2.0, "to": 0.5, "over": 60},
        "learning_rate": {"from": 1e-3, "to": 5e-4, "over": 60},
        "beta2": {"from": 0.9, "to": 0.99, "over": 60},
        "ema_decay": {"from": 0.0, "to": 0.9, "over": 60},
        "augment_share": {"from": 0.0, "to": 0.5, "over": 60},
        "accumulate": 2,
        "on_collapse": "rollback",
        "patience": 2,
    },
    "wasserstein, d_steps, gradient penalty": {
        "objective": "wasserstein",
        "d_steps": 3,
        "gradient_penalty": 10.0,
        "penalty_every": 2,
    },
    "adaptive augmentation": {
        "augment_target": 0.01,
        "augment_adapt_images": 60,
        "augment_color": 0.5,
        "augment_cutout": 0.5,
        "instance_noise": 0.1,
    },
    "bf16": {"precision": "bf16"},
}


def quiet(_step: int, _text: str) -> None:
    pass


class Killed(BaseException):
    """Stands for kill -9: nothing in the code under test may catch it."""


def killed_at(loop: Loop, step: int) -> None:
    """Run until ``step`` steps are done and then lose the process."""
    real = loop.advance

    def counted() -> None:
        if loop.step == step:
            raise Killed
        real()

    loop.advance = counted  # type: ignore[method-assign]
    with pytest.raises(Killed):
        loop.run(quiet)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.*"))}


def assert_same(again: Loop, whole: Loop) -> None:
    assert again.log == whole.log
    for name in ("snapshots", "fixed_latents"):
        assert contents(again.folder / name) == contents(whole.folder / name)
    newest = [max(loop.folder.glob("state-*")) for loop in (again, whole)]
    assert newest[0].name == newest[1].name  # the hash of all bits is part of it
    assert all(torch.equal(a, again.models()[name]) for name, a in whole.models().items())


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        *itertools.product(["dcgan", "mlp"], [[1], [5], [7, 7, 9], [11]]),
        *(
            pytest.param(kind, [2, 7], marks=[] if kind.startswith("residual") else [pytest.mark.slow])
            for kind in KINDS
            if kind not in NETWORKS
        ),
    ],
)
def test_killed_and_run_again_gives_the_same_bits(make_loop: MakeLoop, kind: str, kills: list[int]) -> None:
    whole = make_loop("whole", **KINDS[kind])
    whole.run(quiet)
    for step in kills:
        killed_at(make_loop("killed", **KINDS[kind]), step)
    again = make_loop("killed", **KINDS[kind])
    again.run(quiet)
    assert_same(again, whole)


def test_snapshots_say_what_they_were_made_from_and_their_grids_name_them(make_loop: MakeLoop) -> None:
    loop = make_loop(network_conditional=True, max_steps=4, snapshots=2)
    loop.record, loop.names = {"data_inventory_sha256": "d" * 64, "step": "not this"}, ["cat", "dog"]
    loop.run(quiet)
    for step in (2, 4):
        path = loop.folder / "snapshots" / f"step-{step:09d}.safetensors"
        config = model_file.load_generator(path).config
        assert (config["data_inventory_sha256"], config["step"]) == ("d" * 64, step)
        assert model_file.load_generator(path).classes() == ("cat", "dog")
        with Image.open(loop.folder / "fixed_latents" / f"step-{step:09d}.png") as image:
            assert xmp.read(image.info["xmp"].decode()).model == io.sha256_file(path)


def test_the_kinds_of_training_do_what_they_are_named_for(make_loop: MakeLoop) -> None:
    loop = make_loop(**KINDS["adaptive augmentation"])
    loop.run(quiet)
    assert len({row[-1] for row in loop.log}) > 1  # the probability moves
    loop = make_loop("critic", **KINDS["wasserstein, d_steps, gradient penalty"])
    assert loop.run(quiet) > 0
    assert [row[1] for row in loop.log] == [5 * 24, 10 * 24, 12 * 24]  # images seen


def test_a_resumed_run_does_not_start_over(make_loop: MakeLoop) -> None:
    killed_at(make_loop(), 9)
    again, steps = make_loop(), []
    again.run(lambda step, _: steps.append(step))
    assert steps == [10, 11, 12]
    assert again.run(quiet) == 0
    assert again.log[-1][0] == 12


def test_another_seed_gives_other_bits(make_loop: MakeLoop) -> None:
    first, second = make_loop("a"), make_loop("b", seed=1)
    first.run(quiet)
    second.run(quiet)
    assert first.log != second.log


def test_how_often_it_is_saved_changes_no_byte(make_loop: MakeLoop) -> None:
    often, seldom = make_loop("often"), make_loop("seldom", checkpoint_seconds=1000)
    often.run(quiet)
    seldom.run(quiet)
    assert len(list(seldom.folder.glob("state-*"))) == 1
    for name in ("snapshots", "fixed_latents"):
        assert contents(often.folder / name) == contents(seldom.folder / name)


def test_a_damaged_state_is_named_and_the_one_before_used(
    make_loop: MakeLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make_loop("whole")
    whole.run(quiet)
    loop = make_loop("damaged")
    killed_at(loop, 9)
    newest = max(loop.folder.glob("state-*"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    again, first = make_loop("damaged"), []
    real = again.advance

    def noted() -> None:
        first.append(again.step)
        real()

    again.advance = noted  # type: ignore[method-assign]
    again.run(quiet)
    assert first[0] == 8
    assert newest.name in capsys.readouterr().err
    assert_same(again, whole)


def test_where_no_state_is_sound_it_starts_over(make_loop: MakeLoop) -> None:
    whole = make_loop("whole")
    whole.run(quiet)
    killed_at(make_loop("damaged"), 9)
    for path in (whole.folder.parent / "damaged").glob("state-*"):
        path.write_bytes(path.read_bytes()[:-1])
    again = make_loop("damaged")
    again.run(quiet)
    assert_same(again, whole)


def steps_kept(folder: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in folder.glob("state-*"))


def test_only_the_last_two_states_are_kept(make_loop: MakeLoop) -> None:
    loop = make_loop()
    loop.run(quiet)
    assert steps_kept(loop.folder) == ["state-000-000000011", "state-000-000000012"]


def test_it_writes_a_row_a_window_and_evenly_spread_snapshots(make_loop: MakeLoop) -> None:
    loop = make_loop()
    loop.run(quiet)
    assert [row[0] for row in loop.log] == [5, 10, 12]
    assert all(len(row) == len(COLUMNS) for row in loop.log)
    assert all(0 <= row[4] <= 1 and 0 <= row[5] <= 1 for row in loop.log)
    names = ["step-000000004", "step-000000008", "step-000000012"]
    assert [p.stem for p in sorted((loop.folder / "snapshots").iterdir())] == names
    assert [p.stem for p in sorted((loop.folder / "fixed_latents").iterdir())] == names


def test_a_row_holds_the_means_of_its_window(make_loop: MakeLoop) -> None:
    loop, rows = make_loop(), []
    real = loop.engine.step

    def noted(images: torch.Tensor, labels: torch.Tensor | None, penalise: bool) -> torch.Tensor:
        rows.append(real(images, labels, penalise))
        return rows[-1]

    loop.engine.step = noted  # type: ignore[method-assign]
    loop.run(quiet)
    for row, window in zip(loop.log, (rows[:5], rows[5:10], rows[10:]), strict=True):
        assert row[2:6] == pytest.approx(torch.stack(window).mean(0).tolist(), rel=1e-5)


def test_the_learning_rate_halves_where_it_should(make_loop: MakeLoop) -> None:
    loop = make_loop(lr_decay_factor=0.5, lr_decay_steps=6, learning_rate=0.1)
    loop.step = 6
    assert loop.trainer.learning_rate(loop.step) == pytest.approx(0.05)
    loop.step = 3
    assert loop.trainer.learning_rate(loop.step) == pytest.approx(0.1 * 0.5**0.5)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"batch_size": 41}, r"train.batch_size: 41: larger than the training half \(40 images\)"),
        ({"d_steps": 6}, r"8 times train.d_steps 6: larger than .* \(40 images\); lower it to at most 6"),
    ],
)
def test_a_batch_larger_than_the_set_is_refused_by_name(
    make_loop: MakeLoop, changes: dict[str, object], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        make_loop(**changes)


def test_without_an_average_the_generator_itself_is_kept(make_loop: MakeLoop) -> None:
    loop = make_loop(ema_decay=0.0)
    loop.run(quiet)
    saved = load_file(loop.folder / "snapshots" / "step-000000012.safetensors")
    for name, weight in loop.trainer.generator.named_parameters():
        assert torch.equal(weight, saved[name])


# Divergence


def diverging(make_loop: MakeLoop, folder: str, attempts: range = range(1), **changes: object) -> Loop:
    """Build a loop of which a weight becomes NaN at step 7, in these attempts."""
    loop = make_loop(folder, **changes)
    real = loop.advance

    def advance() -> None:
        real()
        if loop.step == 7 and loop.attempt in attempts:
            with torch.no_grad():
                next(loop.trainer.generator.parameters()).view(-1)[0] = torch.nan

    loop.advance = advance  # type: ignore[method-assign]
    return loop


def all_finite(path: Path) -> bool:
    return all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_a_loss_that_is_not_finite_stops_with_the_step(make_loop: MakeLoop) -> None:
    loop = make_loop(learning_rate=1e38, ema_decay=0.0)
    with pytest.raises(UserError, match=r"not finite.* between steps 0 and 4; lower train.learning_rate"):
        loop.run(quiet)


@pytest.mark.parametrize("snapshots", [1, 3])  # seen at a row of the log, or at a snapshot before it
def test_divergence_stops_in_one_line_and_no_state_with_nan_takes_a_good_ones_place(
    make_loop: MakeLoop, snapshots: int
) -> None:
    loop = diverging(make_loop, "run", snapshots=snapshots)
    where = 10 if snapshots == 1 else 8
    for _ in range(2):  # the good states stay, however often it is tried
        with pytest.raises(UserError, match=rf"between steps 5 and {where}; .*{loop.folder}") as raised:
            loop.run(quiet)
        assert "\n" not in str(raised.value)
        assert steps_kept(loop.folder) == ["state-000-000000005", "state-000-000000006"]
        assert all(all_finite(path) for path in loop.folder.rglob("*.safetensors"))
        loop = diverging(make_loop, "run", snapshots=snapshots)


def test_a_loss_beyond_bounds_is_divergence_too(make_loop: MakeLoop) -> None:
    loop = make_loop(objective="wasserstein", gradient_penalty=1e-6)
    loop.trainer.losses = lambda real, fake, _target=1.0: (real.mean() + 2e6, fake.mean())
    with pytest.raises(UserError, match="between steps 0 and 4"):
        loop.run(quiet)


def test_a_rollback_goes_to_the_last_anchor_with_half_the_rate_and_ends_well(
    make_loop: MakeLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = diverging(make_loop, "run", on_divergence="rollback", log_every=2)
    plain = make_loop("plain", log_every=2)
    plain.run(quiet)
    loop.run(quiet)
    output = capsys.readouterr().err
    assert re.search(r"(?m)between steps 6 and 8: back to step 4 with half the learning rate$", output)
    assert (loop.step, loop.attempt) == (12, 1)
    assert [row[0] for row in loop.log] == [2, 4, 6, 8, 10, 12]
    rate = loop.train.learning_rate
    assert [row[6] for row in loop.log] == pytest.approx([rate] * 2 + [rate / 2] * 4)
    assert loop.log[:2] == plain.log[:2]
    assert loop.log[2][2:6] != plain.log[2][2:6]
    assert all(all_finite(path) for path in loop.folder.rglob("*.safetensors"))


def test_a_rollback_draws_other_latents(make_loop: MakeLoop) -> None:
    loop = make_loop()
    loop.advance()
    first = loop.draws.normal(3)
    loop.step, loop.attempt = 0, 1
    loop.advance()
    assert not torch.equal(loop.draws.normal(3), first)


def test_after_so_many_rollbacks_it_stops_with_one_line(
    make_loop: MakeLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = diverging(make_loop, "run", range(100), on_divergence="rollback")
    with pytest.raises(UserError, match=f"rolled back {ROLLBACKS} times") as raised:
        loop.run(quiet)
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().err.count("back to step 4") == ROLLBACKS
    again = diverging(make_loop, "run", range(100), on_divergence="rollback")
    with pytest.raises(
        UserError, match=f"rolled back {ROLLBACKS} times"
    ):  # and does not begin to count again
        again.run(quiet)
    assert "back to step 4" not in capsys.readouterr().err


def rolling_back(make_loop: MakeLoop, folder: str, **changes: object) -> Loop:
    """Build a loop that diverges twice."""
    changes = {"network_architecture": "mlp", "on_divergence": "rollback", **changes}
    return diverging(make_loop, folder, range(2), **changes)


@pytest.mark.slow
def test_a_rollback_survives_being_killed_before_any_file_takes_its_place(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, kill, real = itertools.count(), -1, os.replace

    def replace(source: Path, target: Path) -> None:
        if next(calls) == kill:
            raise Killed
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "fsync", lambda _file: None)  # which takes most of the time
    whole = rolling_back(make_loop, "whole")
    whole.run(quiet)
    assert whole.attempt == 2
    for kill in range(next(calls)):
        calls = itertools.count()
        with pytest.raises(Killed):
            rolling_back(make_loop, f"{kill}").run(quiet)
        again = rolling_back(make_loop, f"{kill}")
        again.run(quiet)
        assert_same(again, whole)


def test_a_rollback_survives_being_killed_far_from_any_state(make_loop: MakeLoop) -> None:
    whole = rolling_back(make_loop, "whole", checkpoint_seconds=1000)
    whole.run(quiet)
    for kill in range(0, 20, 3):
        loop, done = rolling_back(make_loop, f"{kill}", checkpoint_seconds=1000), itertools.count()
        real = loop.advance

        def advance(real=real, done=done, kill=kill) -> None:  # type: ignore[no-untyped-def]
            if next(done) == kill:
                raise Killed
            real()

        loop.advance = advance  # type: ignore[method-assign]
        with pytest.raises(Killed):
            loop.run(quiet)
        again = rolling_back(make_loop, f"{kill}", checkpoint_seconds=1000)
        again.run(quiet)
        assert_same(again, whole)


# Interruption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_that_very_step_and_it_goes_on_from_there(
    make_loop: MakeLoop, number: signal.Signals
) -> None:
    whole = make_loop("whole", checkpoint_seconds=1000)
    whole.run(quiet)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    loop = make_loop("run", checkpoint_seconds=1000)

    def ask(step: int, _text: str) -> None:
        if step == 5:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt, match="after step 5; run the same command again"):
        loop.run(ask)
    assert loop.step == 5
    assert steps_kept(loop.folder) == ["state-000-000000005"]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    again = make_loop("run", checkpoint_seconds=1000)
    again.run(quiet)
    assert_same(again, whole)


def test_a_full_disk_is_one_line_with_path_and_step_and_the_state_before_it_is_kept(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, loop = make_loop("whole"), make_loop("run")
    whole.run(quiet)
    real = resume_state.write_bytes

    def full(path: Path, content: bytes) -> None:
        if "-000000007-" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, content)

    monkeypatch.setattr(resume_state, "write_bytes", full)
    with pytest.raises(UserError, match=r"^.*run/state-.*: No space left on device, at step 7; ") as raised:
        loop.run(quiet)
    assert "\n" not in str(raised.value)
    assert steps_kept(loop.folder) == ["state-000-000000005", "state-000-000000006"]
    monkeypatch.undo()
    again = make_loop("run")
    again.run(quiet)
    assert_same(again, whole)


# Starting from an earlier model


@pytest.mark.parametrize(
    "kind", ["mlp", pytest.param("hinge, resnet, classes, spectral norm", marks=pytest.mark.slow)]
)
def test_it_starts_from_all_of_an_earlier_model(make_loop: MakeLoop, tmp_path: Path, kind: str) -> None:
    earlier, path = make_loop("earlier", **KINDS[kind]), tmp_path / "final.safetensors"
    earlier.run(quiet)
    model_file.save(path, earlier.models(), earlier.config())
    loop = make_loop("later", **KINDS[kind], init_from=str(path), seed=1)
    assert loop.step == 0
    assert all(torch.equal(tensor, loop.models()[name]) for name, tensor in earlier.models().items())
    assert loop.config()["init_from_sha256"] == io.sha256_file(path)
    assert earlier.config()["init_from_sha256"] is None
    killed_at(loop, 5)
    again = make_loop("later", **KINDS[kind], init_from=str(path), seed=1)
    again.run(quiet)
    assert again.log != earlier.log


def test_it_starts_from_a_generator_alone_with_a_fresh_discriminator(
    make_loop: MakeLoop, tmp_path: Path
) -> None:
    earlier = make_loop("earlier")
    earlier.run(quiet)
    path = earlier.folder / "snapshots" / "step-000000012.safetensors"
    fresh = make_loop("fresh").models()
    loop = make_loop("later", init_from=str(path))
    saved = load_file(path)
    for name, tensor in loop.models().items():
        network, _, weight_name = name.partition(".")
        assert torch.equal(tensor, fresh[name] if network == "discriminator" else saved[weight_name])
    assert not torch.equal(next(loop.trainer.generator.parameters()), fresh["generator.project.0.weight"])
    loop.run(quiet)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"network_latent_dim": 9},
            r"its generator is another network \(project.0.weight is \[256, 8\], here",
        ),
        ({"network_architecture": "resnet"}, r"its generator is another network \(\S+ is not in both\)"),
        ({"network_conditional": True}, r"its generator is another network"),
        ({"network_spectral_norm": True}, r"its discriminator is another network"),
    ],
)
def test_another_network_is_refused_in_one_line(
    make_loop: MakeLoop, tmp_path: Path, changes: dict[str, object], line: str
) -> None:
    earlier, path = make_loop("earlier"), tmp_path / "final.safetensors"
    model_file.save(path, earlier.models(), earlier.config())
    with pytest.raises(UserError, match=f"^params.yaml: train.init_from: {path}: {line}") as raised:
        make_loop("later", init_from=str(path), **changes)
    assert "\n" not in str(raised.value)


def test_an_absent_file_and_one_that_is_no_model_are_refused_in_one_line(
    make_loop: MakeLoop, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"^params.yaml: train.init_from: absent: no such file; [^\n]*$"):
        make_loop(init_from="absent")
    (tmp_path / "text").write_text("no model")
    with pytest.raises(UserError, match=r"text: not a model file[^\n]*$"):
        make_loop(init_from=str(tmp_path / "text"))


def test_classes_are_asked_of_images_that_have_none(make_loop: MakeLoop, tmp_path: Path) -> None:
    loop = make_loop(network_conditional=True)
    images = torch.zeros(40, 1, 32, 32, dtype=torch.uint8)
    with pytest.raises(
        UserError, match=r"^params.yaml: network.conditional: True: these images have no classes"
    ):
        Loop(loop.network, loop.train, loops.Data(images), tmp_path, "cpu")


def test_auto_generates_by_class_where_classes_are_large_enough(make_loop: MakeLoop) -> None:
    data = make_loop(network_conditional=True)
    assert data.counts is not None
    images, labels = torch.zeros(40, 1, 32, 32, dtype=torch.uint8), torch.arange(40)
    for labels_of, classes, wanted in ((labels % 4, 4, True), (labels % 5, 5, False), (None, 0, False)):
        network = data.network.model_copy(update={"conditional": "auto"})
        loop = Loop(network, data.train, Data(images, labels_of, classes), data.folder, "cpu")
        assert (loop.counts is not None) == wanted
    alone = Loop(network, data.train, Data(images, labels * 0, 1), data.folder, "cpu")
    assert alone.counts is None
