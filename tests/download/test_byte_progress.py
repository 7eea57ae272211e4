"""How far a download is: a line redrawn on a terminal, one at the end elsewhere."""

import sys

import pytest

from gan.download.byte_progress import Meter, remark


@pytest.mark.parametrize(("total", "last"), [(2_500, "kB 3/3"), (25_000_001, "MB 26/26"), (0, "kB 0")])
def test_the_end_is_always_told(capsys, total, last):
    meter = Meter("x.zip")
    for done in range(0, total, max(total // 7, 1)):
        meter.update(done, total)
    meter.update(total, total)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["download"]
    assert last in lines[0]
    assert "x.zip" in lines[0]


def test_a_remark_takes_the_place_of_the_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("time.monotonic", iter(range(100)).__next__)
    meter = Meter("x.zip")
    meter.update(1_000_000, 50_000_000)
    remark("trying again")
    output = capsys.readouterr().err
    assert output.startswith("\r\x1b[Kdownload  MB 1/50")
    assert output.endswith("\r\x1b[Kdownload  trying again\n")
