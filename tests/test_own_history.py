"""This repository's own experiments rebuild to the bits that they recorded."""

import json
import os
import subprocess
import sys

import pytest

from flows.git import Git
from flows.reproduce import recordings
from gan import machine
from tests.conftest import ROOT

LATEST = 3


def recorded_here(git: Git, commit: str) -> bool:
    known, here = git.blob(commit, str(machine.MACHINE)), machine.describe(None)
    return known is not None and all(json.loads(known)[key] == here[key] for key in machine.HARDWARE)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_latest_rebuild_to_the_same_hashes() -> None:
    """On the kind of machine that recorded them; `python -m flows.reproduce --every` does all."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    git = Git(ROOT)
    commits = [commit for commit in recordings(git) if recorded_here(git, commit)][:LATEST]
    if not commits:
        pytest.skip("recorded on another kind of machine")
    done = subprocess.run(
        [sys.executable, "-m", "flows.reproduce", *commits],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "DVC_SITE_CACHE_DIR"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    for commit in commits:
        verdict = json.loads((ROOT / ".runs" / "reproduce" / commit / "verdict.json").read_text())
        assert verdict["verdict"] == "identical"
        assert verdict["differences"] == []
        assert len(verdict["outputs"]) > 15
