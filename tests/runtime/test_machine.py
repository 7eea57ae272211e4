"""What a revision says of the machine that made it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gan.runtime import machine, packages


def test_what_bits_depend_on() -> None:
    described = machine.describe("a GPU")
    assert described["system"]
    assert described["processor"]
    assert described["accelerator"] == "a GPU"
    assert described["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"numpy", "torch"} <= set(described["packages"])
    if Path("/proc/cpuinfo").exists() and "avx2" in Path("/proc/cpuinfo").read_text():
        assert "avx2" in described["instructions"]


def test_the_same_file_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    machine.write(None)
    first = machine.MACHINE.read_bytes()
    machine.write(None)
    assert machine.MACHINE.read_bytes() == first
    assert json.loads(first) == machine.describe(None)


def test_bits_are_anybodys_unless_something_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for units, system, accelerator, precision, expected in (
        ({"avx2"}, "x86_64", None, "float32", None),
        ({"avx2"}, "x86_64", None, "bfloat16", "x86_64 a kind"),
        (set(), "x86_64", None, "float32", "x86_64 a kind"),
        ({"asimd"}, "aarch64", None, "float32", "aarch64 a kind"),
        ({"avx2"}, "x86_64", "a GPU", "float32", "a GPU"),
    ):
        monkeypatch.setattr(machine, "_processor", lambda units=units: ("a kind", units))
        monkeypatch.setattr(machine.platform, "machine", lambda system=system: system)
        assert machine.bits_of(accelerator, precision) == expected


def test_what_was_read_is_told_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_processor", lambda: ("a kind", {"avx2"}))
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(packages, "RAN", {})
    assert machine.peculiar(None, "float32", {}, {"unpinned": {}}) == {}
    earlier = {"unpinned": {"train": {"torch": "2.11.0"}}, "bits_of": "a GPU"}
    assert machine.peculiar(None, "float32", {}, earlier) == earlier
    packages.RAN["evaluate"] = {"numpy": "1"}
    described = machine.peculiar(None, "float32", earlier)
    assert described["unpinned"] == {"evaluate": {"numpy": "1"}, "train": {"torch": "2.11.0"}}


def test_it_needs_no_torch() -> None:
    program = (
        "import sys, gan.runtime.machine; gan.runtime.machine.describe(None); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
