"""What a revision says of the machine that made it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gan import machine


def test_what_bits_depend_on() -> None:
    found = machine.describe("a GPU")
    assert found["system"]
    assert found["processor"]
    assert found["accelerator"] == "a GPU"
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"numpy", "torch"} <= set(found["packages"])
    if Path("/proc/cpuinfo").exists() and "avx2" in Path("/proc/cpuinfo").read_text():
        assert "avx2" in found["instructions"]


def test_the_same_file_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    machine.write(None)
    first = machine.MACHINE.read_bytes()
    machine.write(None)
    assert machine.MACHINE.read_bytes() == first
    assert json.loads(first) == machine.describe(None)


def test_it_needs_no_torch() -> None:
    program = "import sys, gan.machine; gan.machine.describe(None); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
