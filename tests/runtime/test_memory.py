"""How much memory there is: the machine's, less in a container or under a limit."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gan.runtime import memory
from tests.conftest import ROOT

GB = 10**9


def test_the_peak_grows_with_what_is_held() -> None:
    code = "from gan.runtime.memory import peak; held = bytearray(3 * 10**8); print(peak())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 3 * 10**8 <= int(done.stdout) < 6 * 10**8


def test_a_container_and_a_limit_leave_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    assert memory.available() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  3000000 kB\nSwapFree: 1000000 kB\n")
    assert memory.available() == 4_096_000_000
    (tmp_path / "memory.current").write_text("1000000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() == 4_096_000_000
    (tmp_path / "memory.max").write_text("3000000000\n")
    assert memory.available() == 2 * GB
    (tmp_path / "memory.max").write_text("3000000\n")
    assert memory.available() == 0


def test_a_limit_on_addresses_counts() -> None:
    code = "from gan.runtime import memory; print(memory.available())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (GB, GB)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert 0 < int(done.stdout) < GB


@pytest.mark.parametrize(("size", "text"), [(2_340_000_000, "2.3 GB"), (41_000_000, "41 MB")])
def test_sizes(size: int, text: str) -> None:
    assert memory.shown(size) == text
