"""What is said after the first steps of a long loop: the time left, the memory, the stages to come."""

import json
import time
from pathlib import Path

import pytest

from gan.runtime import energy, forecast
from gan.runtime.forecast import FIRST, STEPS, Forecast, clock
from gan.stage import Progress


def lines_of(stage: str, steps: int, total: int, seconds: float, **options: object) -> list[str]:
    told = Forecast(stage, **options)
    lines = []
    for step in range(1, steps + 1):
        if step > FIRST:
            time.sleep(seconds)
        lines.append(told.after(total - step))
    return [line for line in lines if line]


@pytest.fixture
def usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records that stages leave."""
    monkeypatch.setattr(forecast, "USAGE", tmp_path)
    assert forecast.USAGE != energy.USAGE
    return tmp_path


def test_time_and_memory_are_told_once(usage: Path) -> None:
    (line,) = lines_of("train", 60, 1000, 0.02)
    left, peak = line.split("; ")
    assert left.startswith("about ") and left.endswith("s left")
    assert 0.9 * 980 * 0.02 < float(left.split()[1].removesuffix("s")) < 60
    assert peak.startswith("peak memory ") and peak.endswith(("MB", "GB"))


def test_what_is_soon_done_needs_none(usage: Path) -> None:
    assert lines_of("train", 60, 100, 0.001) == []
    assert lines_of("train", STEPS - 1, 10**6, 0.001) == []


def test_the_stages_that_come_after_and_what_they_took(usage: Path) -> None:
    for name, ended, seconds in (("prepare", 1, 9), ("train", 2, 9), ("select", 3, 40), ("report", 4, 50.4)):
        (usage / f"{name}.json").write_text(json.dumps({"ended": ended, "seconds": seconds}))
    (usage / "torn.json").write_text("{")
    (line,) = lines_of("train", 20, 10**6, 0.001)
    assert line.endswith("; then select and report, which took 1m30s last time")
    for name in ("report", "prepare", "train"):  # the latter two have run again: only what is left counts
        (usage / f"{name}.json").write_text(json.dumps({"ended": 4 if name == "report" else 5, "seconds": 9}))
        (line,) = lines_of("report", 20, 10**6, 0.001)
        assert "last time" not in line
    (line,) = lines_of("select", 20, 10**6, 0.001)
    assert line.endswith("; then report, which took 9s last time")
    (line,) = lines_of("extractor", 20, 10**6, 0.001)  # never ran here
    assert "last time" not in line


def test_a_gpu_is_waited_for_and_its_memory_told(usage: Path) -> None:
    waited: list[int] = []
    (line,) = lines_of(
        "train", 30, 10**6, 0.001, wait=lambda: waited.append(1), accelerator_bytes=lambda: 2_500_000_000
    )
    assert len(waited) == 2
    assert "; of the GPU 2.5 GB" in line


def test_progress_says_it_and_goes_by_time(
    usage: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan.stage.LINE_SECONDS", 0.02)
    progress = Progress("train", 10**6, "step", 32, Forecast("train"))
    for step in range(1, 41):
        time.sleep(0.005)
        progress.update(step, "loss_d 0.5" if step == 2 else "")
    lines = capsys.readouterr().err.splitlines()
    assert sum("peak memory" in line for line in lines) == 1
    steps = [line for line in lines if "step " in line]
    assert len(steps) > 4  # though the loss was told once
    assert all("loss_d 0.5" in line for line in steps[1:])


@pytest.mark.parametrize(("seconds", "text"), [(39.6, "40s"), (130, "2m10s"), (3900, "1h05m")])
def test_times(seconds: float, text: str) -> None:
    assert clock(seconds) == text
