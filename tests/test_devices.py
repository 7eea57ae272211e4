"""The same number of threads computes on any number of cores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan import devices
from gan.errors import UserError
from tests.conftest import ROOT
from tests.forked_commands import Forked

PROGRAM = """
import os, sys, torch
from gan import devices
devices.prepare("cpu", int(sys.argv[1]))
used = sorted(os.sched_getaffinity(0))
print(torch.get_num_threads(), len(used), *devices.side_by_side(len, ["a", "bc"]), *used)
"""


def prepared(cores: int, **environment: str) -> subprocess.CompletedProcess[str]:
    """Have a process of its own prepare: what it has then is for as long as it lives."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(cores)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system keeps no process to cores")
@pytest.mark.parametrize("cores", [1, 2, 8])
def test_as_many_threads_on_any_number_of_cores(cores: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output, _ = Forked("program", [str(cores)], tmp_path, environment).communicate(60)
    used = min(cores, len(os.sched_getaffinity(0)))
    assert output.split()[:4] == ["4", str(used), "1", "2"], output


CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


@pytest.mark.skipif(len(CORES) < 2, reason="one core")
@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_begins_with_all_cores(turn: int) -> None:
    assert os.sched_getaffinity(0) == CORES
    devices.set_threads(1)
    assert len(os.sched_getaffinity(0)) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system keeps no process to cores")
def test_processes_of_one_training_share_no_core() -> None:
    cores = sorted(os.sched_getaffinity(0))
    count = len(cores) // 2 or 1
    ranks = [prepared(count, LOCAL_WORLD_SIZE="2", LOCAL_RANK=str(rank)) for rank in range(2)]
    used = [set(map(int, done.stdout.split()[4:])) for done in ranks]
    assert [len(each) for each in used] == [count, count]
    assert used[0] | used[1] == set(cores[: 2 * count])


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_THREAD_LIMIT", "2"), ("OMP_DYNAMIC", "true"), ("OMP_MAX_ACTIVE_LEVELS", "0")]
)
def test_a_variable_that_keeps_threads_back_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=rf"{name}={value}: .*unset it$"):
        devices.set_threads(2)


@pytest.mark.slow
def test_it_is_refused_whoever_prepares() -> None:
    done = prepared(2, OMP_THREAD_LIMIT="2")
    assert done.returncode
    assert "OMP_THREAD_LIMIT=2: " in done.stderr.splitlines()[-1]
