"""What a stage took: its record, and energy from counters that go round."""

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from gan import stage
from gan.runtime import energy
from tests.missing_programs import skip_without

PROGRAM = """
import sys
from pathlib import Path
from gan import stage
from gan.runtime import energy
energy.POWERCAP = Path("powercap")
def body():
    bytearray(80_000_000)
    sum(range(5_000_000))
    energy.USED.note(**{0})
    {1}
stage.run("toy", body, lock={2})
"""


def run(
    folder: Path, body: str = "pass", *, facts: object = None, lock: bool = True, **variables: str
) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(facts or {}, body, lock)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(stage.__file__).parents[1]), **variables},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def record(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / ".runs" / "usage" / "toy.json").read_text()))


def test_a_stage_leaves_what_it_took(tmp_path: Path) -> None:
    assert run(tmp_path, facts={"steps": 5, "resumed_at": 2}) == 0
    usage = record(tmp_path)
    assert 0 < usage["cpu_seconds"] < 60
    assert 0 < usage["seconds"] < 60
    assert usage["ended"] == pytest.approx(usage["started"] + usage["seconds"], abs=0.01)
    assert 80_000_000 < usage["peak_rss_bytes"] < 500_000_000
    assert usage["joules"] is None
    assert (usage["steps"], usage["resumed_at"]) == (5, 2)


def test_a_stage_that_fails_leaves_none_and_measuring_fails_no_stage(tmp_path: Path) -> None:
    assert run(tmp_path, "raise stage.UserError('no')") == 1
    assert not (tmp_path / ".runs" / "usage").exists()
    (tmp_path / ".runs" / "usage").write_text("a file where the folder should be")
    assert run(tmp_path) == 0


def test_of_several_processes_the_launcher_writes_last_with_the_facts_of_the_first(tmp_path: Path) -> None:
    (tmp_path / ".runs").mkdir()
    child = (
        "import subprocess; [subprocess.run([sys.executable, '-c', stage.os.environ['INNER']], check=True, "
        "env=stage.os.environ | {'RANK': rank}) for rank in '01']"
    )
    inner = PROGRAM.format({"steps": 9}, "pass", False)
    program = PROGRAM.format({}, child, False)
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "INNER": inner, "PYTHONPATH": str(Path(stage.__file__).parents[1])},
        check=True,
    )
    usage = record(tmp_path)
    assert usage["steps"] == 9
    assert usage["cpu_seconds"] > 0.1


@pytest.fixture
def counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages, one with its cores and its memory, as Linux shows them."""
    for name, kind in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:2", "psys"),
    ):
        zone = tmp_path / "powercap" / name
        zone.mkdir(parents=True)
        (zone / "name").write_text(kind + "\n")
        (zone / "energy_uj").write_text("999000000\n")
        (zone / "max_energy_range_uj").write_text("1000000000000\n")
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "powercap")
    return tmp_path / "powercap"


def test_energy_is_that_of_packages_and_memory_over_a_turn_of_the_counter(counters: Path) -> None:
    (counters / "intel-rapl:1" / "energy_uj").write_text("999999000000\n")
    meter = energy.Energy()
    for zone in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:2"):
        (counters / zone / "energy_uj").write_text("1004000000\n")  # 5 J more each
    (counters / "intel-rapl:1" / "energy_uj").write_text("2000000\n")  # gone round: 3 J
    assert meter.joules() == {"processor": 13.0}


def test_energy_is_not_guessed(counters: Path) -> None:
    meter = energy.Energy()
    meter.when -= 3000  # at 500 W the counter of a million joules may have gone round
    assert meter.joules() is None
    meter = energy.Energy()
    (counters / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.joules() is None


NVML = """
static unsigned long long used = 5000000;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)(long)(i + 1); return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj) { *mj = used += 1000; return 0; }
"""


def test_energy_of_accelerators_by_their_library(tmp_path: Path) -> None:
    """Against a stand-in with NVML's own signatures: two GPUs, a joule more at each question."""
    compiler = shutil.which("cc") or skip_without("a C compiler")
    (tmp_path / "nvml.c").write_text(NVML)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    assert run(tmp_path, LD_LIBRARY_PATH=str(tmp_path)) == 0
    assert record(tmp_path)["joules"] == {"accelerator": 4.0}


@pytest.mark.parametrize("argument", ["--help", "--epochs=5", "train"])
def test_a_stage_takes_no_arguments_and_says_so_before_anything_is_touched(
    tmp_path: Path, argument: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gan.stages.download", argument],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(stage.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if argument == "--help" else 2)
    assert "a stage takes no arguments" in done.stderr
    assert done.stderr.startswith("error: ") == (argument != "--help")
    assert list(tmp_path.iterdir()) == []


def test_a_line_of_progress_is_no_wider_than_the_terminal() -> None:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    code = "from gan.stage import Progress; Progress('train', 2, 'step').update(2, 'loss_d 0.1  ' * 20)"
    variables = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    subprocess.run([sys.executable, "-c", code], stderr=child, env=variables, check=True)
    os.close(child)
    drawn = os.read(parent, 10_000).decode().replace("\x1b[K", "").strip()
    os.close(parent)
    assert drawn.startswith("train") and 30 < len(drawn) < 40
