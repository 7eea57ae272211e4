"""This repository's own experiments rebuild to the bits that they recorded."""

import json
import os
import subprocess
import sys

import pytest

from flows.repo.git import Git
from flows.repo.lock_file import LOCK, read_record
from flows.reproduce import recordings
from gan.runtime import machine
from tests.conftest import ROOT

LATEST = 1  # each takes as long as its pipeline


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_latest_rebuild_to_the_same_hashes() -> None:
    """On any x86-64 processor with AVX2; `python -m flows.reproduce --every` does all.

    Those that name packages: earlier ones computed in another way on each kind of processor.
    """
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    if machine.bits_of(None) is not None:
        pytest.skip("this processor gives bits of its own: no x86-64 one with AVX2")
    git = Git(ROOT)
    known = recordings(git)
    commits = [commit for commit in known if read_record(git.blob(commit, LOCK) or b"", commit).packages()]
    if not commits:
        pytest.skip("no recording of portable bits yet")
    done = subprocess.run(
        [sys.executable, "-m", "flows.reproduce", *commits[:LATEST]],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "DVC_SITE_CACHE_DIR"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    for commit in commits[:LATEST]:
        verdict = json.loads((ROOT / ".runs" / "reproduce" / commit / "verdict.json").read_text())
        assert verdict["verdict"] == "identical"
        assert verdict["differences"] == []
        assert len(verdict["outputs"]) > 15
