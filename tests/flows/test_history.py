"""The lineage of experiments, on the terminal and on a page in a real browser."""

import hashlib
import json
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.flows.experiment import Experiment, git, make_experiment
from tests.missing_programs import skip_without

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def png(shade: int) -> bytes:
    """A grey picture of 8×8 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = (8).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = (b"\0" + bytes([shade]) * 8) * 8
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Three records on main, a retraining, a promotion, and an experiment of DVC's."""
    experiment = make_experiment(tmp_path_factory.mktemp("recorded"))
    (experiment.root / "samples").mkdir()
    experiment.params(train__threads=3)
    (experiment.root / "samples" / "grid.png").write_bytes(png(60))
    experiment.record("more threads <b>& faster</b>")
    (experiment.source / "three.txt").write_text("three")
    (experiment.source / "one.txt").unlink()
    code = experiment.root / "fake_stage.py"
    code.write_text(code.read_text().replace("LAYERS = 4", "LAYERS = 5"))
    (experiment.root / "requirements.txt").write_text("toything==2.0\n")
    (experiment.root / "samples" / "grid.png").write_bytes(png(200))
    experiment.dvc("repro", "-q", "--force")
    experiment.commit("other data, another layer")
    experiment.git("tag", "model@v1.0.0")
    (experiment.root / "note.md").write_text("nothing to do with it")
    experiment.commit("a note")
    experiment.git("checkout", "-q", "-b", "retrain/2026-11-01")
    experiment.params(train__threads=4)
    experiment.record("retrained")
    experiment.git("checkout", "-q", "main")
    experiment.dvc("exp", "run", "-q", "-n", "tried", "-S", "params.json:train.threads=7")
    experiment.git("checkout", "-q", "--force", "main")
    return experiment


@pytest.fixture
def past(recorded: Experiment, tmp_path: Path) -> Experiment:
    """A copy of it."""
    folder = tmp_path / "past"
    shutil.copytree(recorded.root.parent, folder, symlinks=True)
    return replace(recorded, root=folder / recorded.root.name)


def test_every_experiment(past: Experiment) -> None:
    text = past.run("flows.history")
    rows = json.loads(past.run("flows.history", "--json"))
    by_subject = {row["subject"]: row for row in rows}
    assert len(rows) == 5
    assert [row["kind"] for row in rows].count("commit") == 2
    last, tried = (
        by_subject["other data, another layer"],
        next(row for row in rows if "tried" in row["names"]),
    )
    assert set(last["names"]) == {"main", "model@v1.0.0"}  # main is a note further
    assert last["kind"] == "promotion"
    assert last["before"] == by_subject["more threads <b>& faster</b>"]["id"]
    assert last["change"] == "data; code: fake_stage.py; packages: toything absent → 2.0"
    assert last["metrics"] == {"fd_semantic": "64 ± 0.98 (real 1)"}
    assert by_subject["retrained"]["kind"] == "retraining"
    assert by_subject["retrained"]["change"] == "train.threads 3 → 4"
    assert (tried["kind"], tried["change"], tried["before"]) == (
        "experiment",
        "train.threads 3 → 7",
        last["id"],
    )
    assert by_subject["first"]["before"] is None
    assert (
        text.index("retrained") < text.index("other data") < text.index("more threads") < text.index("first")
    )
    assert "(main, model@v1.0.0)" in text or "(model@v1.0.0, main)" in text


def test_any_two(past: Experiment) -> None:
    text = past.run("flows.history", "main~2", "tried")
    assert re.search(r"train\.threads +3  ->  7", text)
    assert re.search(r"toything +absent  ->  2\.0", text)
    assert "three.txt is new" in text
    assert "one.txt is gone" in text
    assert re.search(r"^  fake_stage\.py$", text, re.MULTILINE)
    assert re.search(r"fd_semantic  64 ± 0\.98 \(real 1\)  ->  64", text)
    assert "samples/grid.png differs" in text
    lines = past.run("flows.history", "main", "nonesuch", status=1).strip().splitlines()
    assert len(lines) == 1
    assert "nonesuch" in lines[0]
    assert len(past.run("flows.history", "main", status=2).strip().splitlines()) == 1


def test_which_experiment_made_a_file(past: Experiment, tmp_path: Path) -> None:
    copy = tmp_path / "somewhere.bin"
    shutil.copy(past.root / "models" / "final.bin", copy)
    past.git("checkout", "-q", "main")
    past.dvc("checkout", "-q")
    shutil.copy(past.root / "models" / "final.bin", copy)
    text = past.run("flows.history", "--model", str(copy))
    assert text.split()[0] == past.git("rev-parse", "main~1")[:10]
    assert "models/final.bin" in text
    copy.write_text("not one of ours")
    assert "no experiment here recorded" in past.run("flows.history", "--model", str(copy), status=1)


def test_which_experiment_made_a_model_that_a_picture_names(past: Experiment, tmp_path: Path) -> None:
    past.git("checkout", "-q", "main")
    past.dvc("checkout", "-q")
    for file in ("final.bin", "log/a.txt"):  # by SHA-256, found in the cache, within folders too
        content = (past.root / "models" / file).read_bytes()
        text = past.run("flows.history", "--model", hashlib.sha256(content).hexdigest())
        assert text.split()[0] == past.git("rev-parse", "main~1")[:10]
        assert f"models/{file}" in text
    copy = tmp_path / "snapshot"
    copy.write_bytes(content)
    assert "models/log/a.txt" in past.run("flows.history", "--model", str(copy))
    unknown = "ab" * 32
    output = past.run("flows.history", "--model", unknown, status=1)
    assert "no experiment here recorded a model of this SHA-256" in output
    assert "no such file, and no SHA-256" in past.run("flows.history", "--model", "nonesuch", status=1)
    packet = f"<ganflow:ModelSha256>{unknown}</ganflow:ModelSha256>".encode()
    (past.root / "samples" / "grid.png").write_bytes(png(90) + packet)
    past.params(train__threads=9)
    commit = past.record("its grid names the model")
    text = past.run("flows.history", "--model", unknown)
    assert (text.split()[0], text.count("\n")) == (commit[:10], 1)
    assert "samples/grid.png" in text


def test_without_a_cache_and_without_a_record(past: Experiment, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", f"file://{past.root}", str(tmp_path / "clone"))
    text = past.run("flows.history", "HEAD~2", "HEAD", cwd=tmp_path / "clone")
    assert "the files as downloaded differ; the cache lacks their inventories (`dvc fetch`)" in text
    assert "retrain/2026-11-01" in past.run("flows.history", cwd=tmp_path / "clone")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{past.root}", str(tmp_path / "shallow"))
    assert "a note" in past.run("flows.history", cwd=tmp_path / "shallow")
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    (empty / "dvc.yaml").write_text("")
    git(empty, "add", "-A")
    git(empty, "commit", "-qm", "nothing yet")
    output = past.run("flows.history", cwd=empty, status=1).strip()
    assert output == "error: no commit here has a dvc.lock; `make repro`, then commit what git shows"


def test_the_page(past: Experiment, tmp_path: Path) -> None:
    if CHROMIUM is None:
        skip_without("Chromium")
    past.run("flows.history")
    page = past.root / ".runs" / "history" / "index.html"
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    quiet += [
        "--disable-background-networking",
        "--disable-component-update",
        "--allow-file-access-from-files",
    ]
    done = subprocess.run(
        [CHROMIUM, "--headless", *quiet, f"--user-data-dir={tmp_path}/profile", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    output = done.stdout
    assert "<b>&amp; faster" not in output  # a commit's text is text
    assert "&lt;b&gt;&amp; faster&lt;/b&gt;" in output
    # The scripts ran: the two newest stand side by side, with what differs and their grids.
    compared = output[output.index('id="compare"') :]
    assert "hidden" not in compared[: compared.index(">")]
    assert "<td>train.threads</td>" in compared
    assert compared.count("<img") == 2
    assert re.search(r"http(s)?://", re.sub(r"http://www\.w3\.org\S*", "", page.read_text())) is None
    grids = set(re.findall(r'src="([0-9a-f]{16}\.png)"', page.read_text()))
    assert len(grids) == 2
    assert {(page.parent / name).read_bytes() for name in grids} == {png(60), png(200)}
