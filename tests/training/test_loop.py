"""The loop: the same bits however often it is killed, what it writes, what it refuses."""

from pathlib import Path

import pytest
import torch

from gan.errors import UserError
from gan.training.loop import COLUMNS, Loop
from gan.training.state import load_state
from tests.training.conftest import MakeLoop


def quiet(_step: int, _text: str) -> None:
    pass


class Killed(BaseException):
    """Stands for kill -9: nothing in the code under test may catch it."""


def killed_at(loop: Loop, step: int) -> None:
    """Run until ``step`` steps are done and then lose the process."""
    real = loop._step

    def counted() -> torch.Tensor:
        if loop.step == step:
            raise Killed
        return real()

    loop._step = counted  # type: ignore[method-assign]
    with pytest.raises(Killed):
        loop.run(quiet)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.*"))}


@pytest.mark.parametrize("network", ["dcgan", "mlp"])
@pytest.mark.parametrize("kills", [[1], [5], [7, 7, 9], [11]])
def test_killed_and_run_again_gives_the_same_bits(
    make_loop: MakeLoop, network: str, kills: list[int]
) -> None:
    whole = make_loop("whole", network_architecture=network)
    log = whole.run(quiet).log
    for step in kills:
        killed_at(make_loop("killed", network_architecture=network), step)
    again = make_loop("killed", network_architecture=network)
    assert again.run(quiet).log == log
    assert contents(again.folder) == contents(whole.folder)
    assert all(torch.equal(a, again.models()[name]) for name, a in whole.models().items())


def test_a_resumed_run_does_not_start_over(make_loop: MakeLoop) -> None:
    killed_at(make_loop(), 9)
    again, steps = make_loop(), []
    again.run(lambda step, _: steps.append(step))
    assert steps == [10, 12]
    assert again.run(quiet).log[-1][0] == 12


def test_another_seed_gives_other_bits(make_loop: MakeLoop) -> None:
    first, second = make_loop("a"), make_loop("b", seed=1)
    assert first.run(quiet).log != second.run(quiet).log


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
    found = load_state(loop.folder)
    assert found is not None
    assert found[0] == 8
    assert newest.name in capsys.readouterr().err
    again = make_loop("damaged")
    again.run(quiet)
    assert contents(again.folder) == contents(whole.folder)


def test_only_the_last_two_states_are_kept(make_loop: MakeLoop) -> None:
    loop = make_loop()
    loop.run(quiet)
    assert sorted(p.name.split("-")[1] for p in loop.folder.glob("state-*")) == ["000000011", "000000012"]


def test_it_writes_a_row_a_window_and_evenly_spread_snapshots(make_loop: MakeLoop) -> None:
    loop = make_loop()
    log = loop.run(quiet).log
    assert [row[0] for row in log] == [5, 10, 12]
    assert all(len(row) == len(COLUMNS) for row in log)
    assert all(0 <= row[3] <= 1 and 0 <= row[4] <= 1 for row in log)
    names = ["step-000000004", "step-000000008", "step-000000012"]
    assert [p.stem for p in sorted((loop.folder / "snapshots").iterdir())] == names
    assert [p.stem for p in sorted((loop.folder / "fixed_latents").iterdir())] == names


def test_the_learning_rate_halves_where_it_should(make_loop: MakeLoop) -> None:
    loop = make_loop(lr_decay_factor=0.5, lr_decay_steps=6, learning_rate=0.1)
    loop.step = 6
    assert loop.learning_rate() == pytest.approx(0.05)
    loop.step = 3
    assert loop.learning_rate() == pytest.approx(0.1 * 0.5**0.5)


def test_every_epoch_sees_every_image_once_in_another_order(make_loop: MakeLoop) -> None:
    loop = make_loop(max_steps=10)
    orders = []
    for loop.step in range(10):
        loop._step()
        orders.append(loop.order.clone())
    assert sorted(orders[0].tolist()) == list(range(40))
    assert torch.equal(orders[0], orders[4])
    assert not torch.equal(orders[4], orders[5])


def test_a_batch_larger_than_the_set_is_refused_by_name(make_loop: MakeLoop) -> None:
    with pytest.raises(UserError, match=r"train.batch_size: 41: larger than the training half \(40 images\)"):
        make_loop(batch_size=41)


def test_a_loss_that_is_not_finite_stops_with_the_step(make_loop: MakeLoop) -> None:
    loop = make_loop(learning_rate=1e38, ema_decay=0.0)
    with pytest.raises(UserError, match=r"not finite between step 0 and 5.*lower train.learning_rate"):
        loop.run(quiet)


def test_without_an_average_the_generator_itself_is_kept(make_loop: MakeLoop) -> None:
    from safetensors.torch import load_file

    loop = make_loop(ema_decay=0.0)
    loop.run(quiet)
    kept = load_file(loop.folder / "snapshots" / "step-000000012.safetensors")
    for name, weight in loop.trainer.generator.named_parameters():
        assert torch.equal(weight, kept[name])
