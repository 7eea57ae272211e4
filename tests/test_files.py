"""Atomic writes, folders that are whole or absent, and the run lock."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gan import files
from gan.errors import UserError
from tests.conftest import ROOT


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic_writer(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_shared_file_may_be_written_by_several_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with files.atomic_writer(path, shared=True) as file:
        file.write(b"sa")
        files.write_bytes(path, b"same", shared=True)
        file.write(b"me")
    assert path.read_bytes() == b"same"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from gan import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: files.write_bytes(Path(sys.argv[1]), b'x' * 5000)\n"
        "except OSError as error: print(error.filename)\n"
    )
    path = tmp_path / "a.bin"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(path)
    assert os.listdir(tmp_path) == []


def test_a_failed_folder_keeps_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with files.fresh_folder(folder) as new:
        (new / "a").write_text("1")
    with pytest.raises(RuntimeError), files.fresh_folder(folder) as new:
        (new / "b").write_text("2")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(folder) == ["a"]
    with files.fresh_folder(folder) as new:
        (new / "c").write_text("3")
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(folder) == ["c"]


def test_json_that_is_absent_or_damaged_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.json: no such file"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a\.json: not JSON"):
        files.read_json(tmp_path / "a.json")


def test_a_second_run_is_refused_and_a_killed_one_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = (
        "import time; from gan.files import run_lock\n"
        "with run_lock('train'): print('held', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with (
            pytest.raises(UserError, match=f"process {first.pid} is already at it here"),
            files.run_lock("train"),
        ):
            pass
        first.kill()
        first.wait()
    started = time.monotonic()
    with files.run_lock("train"):
        assert time.monotonic() - started < 5


def test_a_users_path_is_looked_for_here_and_then_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, checkout = tmp_path / "here", tmp_path / "checkout"
    for folder in (here, checkout):
        folder.mkdir()
    (checkout / "a").touch()
    monkeypatch.chdir(here)
    monkeypatch.delenv(files.CHECKOUT, raising=False)
    assert files.users_path("a") == Path("a")
    monkeypatch.setenv(files.CHECKOUT, str(checkout))
    assert files.users_path("a") == checkout / "a"
    assert files.users_path(str(checkout / "a")) == checkout / "a"
    (here / "a").touch()
    assert files.users_path("a") == Path("a")
    assert files.users_path("~/a") == checkout / Path("~/a").expanduser()
