import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from gan.data.arrays import write_header
from gan.data.manifest import COLUMNS
from gan.errors import UserError
from gan.stages.validate import main
from gan.validate import expectations
from gan.validate.rules import Rule, gxe
from tests.conftest import ROOT, command, copy_project, set_params
from tests.data.example_manifests import textured
from tests.data.image_files import encoded, files, folder, picture
from tests.stages.project import ENVIRONMENT, Project

USUAL = {"reference": None, "data_docs": False}
REPORTS = ("index.html", "metrics.json", "passed", "result.json")


def result(project):
    return json.loads((project.path / "reports" / "validation" / "result.json").read_text())


def test_good_then_warned_then_stopped(tmp_path):
    content = {
        **files(70),
        "faint.png": encoded(picture(1).point(lambda value: 9 + value // 200)),
        "broken.png": b"\x89PNG\r\n\x1a\n",
    }
    project = Project(tmp_path / "p", folder(tmp_path / "x", content), validate__min_images=50)
    project.run("download", "prepare")
    output = project.run("validate")
    warned = [line for line in output.splitlines() if "warning: " in line]
    assert len(warned) == 2 and "'broken.png'" in warned[0] and "'faint.png'" in warned[1]
    assert "71 of 72 images kept: 57 to train on, 14 held out, no classes\n" in output
    assert (
        "1 refused: 1 " in output
        and ", 2 warn\n" in output
        and "see reports/validation/index.html\n" in output
    )
    assert result(project)["worst"] == "warning"
    first = project.tree("reports/validation")
    assert (
        tuple(first) == REPORTS
        and b"faint.png" in first["index.html"]
        and b"<img src=" in first["index.html"]
    )
    project.run("validate")
    assert project.tree("reports/validation") == first  # no time, no random name
    project.set(validate__min_images=5000)
    error = project.fail("validate")
    assert "1 of" in error and "expectations failed critically, see reports/validation/index.html" in error
    failing = [item for item in result(project)["expectations"] if not item["success"]]
    assert failing[0]["name"] == "training images" and failing[0]["limit"] == "at least 5000"
    assert result(project)["worst"] == "critical"
    after = project.tree("reports/validation")
    assert (
        sorted(after) == ["index.html", "metrics.json", "result.json"]
        and b"Stops the pipeline: 1 " in after["index.html"]
    )


@pytest.mark.slow
def test_leaks_of_published_halves_stop_it_with_the_files_named(tmp_path):
    content = {**files(70, "train/{0:03d}.png"), **files(20, "test/{0:03d}.png")}
    project = Project(tmp_path / "p", folder(tmp_path / "x", content))
    project.run("download", "prepare")
    process = project.start("validate")
    output = process.communicate()[1]
    assert process.returncode == 1
    expected = "critical: share of test images that stand in train too: 1, expected at most 0.01; 20 images: "
    assert f"{expected}'test/000.png', 'test/001.png', 'test/002.png' ..." in output


def test_an_absent_manifest_is_one_line(tmp_path):
    assert "manifest.parquet: no such file; run" in Project(tmp_path / "p").fail("validate")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A prepared project, and its manifest as an earlier one."""
    project = Project(tmp_path_factory.mktemp("digits") / "p")
    project.run("download", "prepare")
    shutil.copy(project.path / "data" / "prepared" / "manifest.parquet", project.path / "earlier.parquet")
    return project


@pytest.fixture
def validated(digits, monkeypatch, capsys):
    """Run the stage in this process, which has loaded Great Expectations; return what it said."""
    monkeypatch.chdir(digits.path)

    def run(**values):
        digits.set(**{f"validate__{name}": value for name, value in {**USUAL, **values}.items()})
        main()
        return capsys.readouterr().err

    return run


def test_the_set_itself_is_no_drift_and_a_brighter_earlier_one_is(digits, validated):
    assert "warn" not in validated(reference="earlier.parquet")
    assert result(digits)["drift"]["mean"]["divergence"] == 0
    earlier = pd.read_parquet(digits.path / "earlier.parquet")
    darker = earlier[earlier["label"] != "4"].assign(mean=earlier["mean"] - 40)
    darker.to_parquet(digits.path / "darker.parquet")
    output = validated(reference="darker.parquet")
    assert "warning: drift of brightness (mean of pixels), bits beyond chance: 0." in output
    assert "warning: classes that the reference lacks: 1, expected none; '4'; 181 images: " in output
    judged = result(digits)
    assert judged["observed"]["drift_mean"] == judged["drift"]["mean"]["beyond"] > 0.5
    assert judged["observed"]["new_classes"] == 1


def test_an_earlier_manifest_with_fewer_columns_is_compared_in_what_it_has(digits, validated):
    earlier = pd.read_parquet(digits.path / "earlier.parquet")
    lacking = ["sharpness", "entropy", "min", "max", "dhash", "near_group"]
    earlier.drop(columns=lacking).to_parquet(digits.path / "old.parquet")
    validated(reference="old.parquet")
    assert set(result(digits)["drift"]) == {"mean", "std", "width", "height", "aspect", "mode", "label"}


@pytest.mark.slow
def test_data_docs_are_written_on_request_and_leave_the_outs_as_they_are(digits, validated):
    validated()
    before = digits.tree("reports/validation")
    output = validated(data_docs=True)
    assert (
        ".runs/data_docs/index.html: opened, it loads styles and a tracking logo from the network" in output
    )
    assert b"Data Docs" in (digits.path / ".runs" / "data_docs" / "index.html").read_bytes()
    assert digits.tree("reports/validation") == before
    validated()
    assert not (digits.path / ".runs" / "data_docs").exists()


@pytest.mark.slow
def test_killed_at_any_time_the_next_run_is_right(digits):
    digits.set(validate__reference=None)
    digits.run("validate")
    whole = digits.tree("reports/validation")
    shutil.rmtree(digits.path / "reports")
    begun = time.monotonic()
    process = digits.start("validate")
    process.wait()
    process.stderr.close()
    lasts = time.monotonic() - begun
    for share in (0.5, 0.8, 0.9, 0.97):
        process = digits.start("validate")
        time.sleep(share * lasts)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        tree = digits.tree("reports/validation")
        assert all(tree[name] == whole[name] for name in REPORTS if name in tree)
        if "passed" in tree:
            assert {"index.html", "result.json"} <= set(tree)
    digits.run("validate")
    assert digits.tree("reports/validation") == whole


def example(guide, start):
    """Return the Python block of a guide that begins with ``start``."""
    blocks = [section.split("```")[0] for section in guide.split("```python\n")[1:]]
    return next(block for block in blocks if block.startswith(start))


@pytest.mark.slow
def test_an_own_expectation_as_the_guide_says(digits, tmp_path):
    digits.set(validate__reference=None)
    code = tmp_path / "code"
    shutil.copytree(ROOT / "gan", code / "gan", ignore=shutil.ignore_patterns("__pycache__"))
    code_of_user = example((ROOT / "docs" / "validation.md").read_text(encoding="utf-8"), '"""Your own')
    (code / "gan" / "validate" / "own_expectations.py").write_text(code_of_user, encoding="utf-8")
    output = command(["python", "-m", "gan.stages.validate"], digits.path, anew=True, PYTHONPATH=str(code))
    assert (
        "warning: image is no icon: 1797 of 1797 differ, expected at least 100 pixels wide; 1797 images: "
        in output
    )
    assert result(digits)["observed"]["icon"] == 1797
    assert "image is no icon" in (digits.path / "reports" / "validation" / "index.html").read_text()


def test_a_key_of_another_expectation_is_refused(validated, monkeypatch):
    taken = Rule("train", "", "summary", "", gxe.ExpectColumnValuesToNotBeNull(column="train"))
    monkeypatch.setattr(expectations, "own", lambda params, labelled: [taken])
    with pytest.raises(UserError, match=r"own_expectations\.py: key 'train' stands twice; give each its own"):
        validated()


def test_the_guide_tells_of_every_column_it_may_look_at():
    guide = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    assert not [column for column in COLUMNS if f"`{column}`" not in guide]


MEASURED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(status)
"""


@pytest.mark.slow
def test_sixty_thousand_images_that_all_fail_take_a_minute_and_two_gigabytes_at_most(tmp_path):
    project = Project(tmp_path / "p")
    frame = textured(60_000, 0, brighter=80)
    frame["std"], frame["entropy"], frame["mode"], frame["min"] = 0.1, 0.1, "XYZ", frame["max"]
    frame["pixels_sha256"] = [f"{number // 2:064x}" for number in range(60_000)]
    frame["near_group"] = [number // 3 for number in range(60_000)]
    prepared = project.path / "data" / "prepared"
    prepared.mkdir(parents=True)
    frame.astype(COLUMNS).to_parquet(prepared / "manifest.parquet")
    textured(60_000, 1).to_parquet(project.path / "earlier.parquet")
    for half, count in frame["split"].value_counts().items():
        with open(prepared / f"{half}.safetensors", "wb") as file:
            write_header(file, (count, 3, 32, 32))
            file.write(np.random.default_rng(0).bytes(count * 3 * 32 * 32))
    project.set(validate__reference="earlier.parquet")
    # By way of a small process: a child's highest memory begins at that of whoever starts it.
    line = [sys.executable, "-c", MEASURED, sys.executable, "-m", "gan.stages.validate"]
    done = subprocess.run(line, cwd=project.path, env=ENVIRONMENT, capture_output=True, text=True)
    output, (seconds, memory) = done.stderr, map(float, done.stdout.split())
    assert done.returncode == 1 and output.count("60000 images") >= 4 and "fail critically" in output
    assert seconds < 60 and memory < 2_000_000  # KiB
    assert (project.path / "reports" / "validation" / "index.html").stat().st_size < 2_000_000


@pytest.mark.slow
def test_dvc_shows_what_changed_and_what_training_waits_for_is_the_same(tmp_path):
    project = copy_project(tmp_path)
    command(["dvc", "init", "-f"], project)
    command(["dvc", "repro", "validate"], project)
    command(["git", "add", "-A"], project)
    command(
        ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "run"], project
    )
    assert "metrics.json" in command(["git", "ls-files", "reports/validation"], project)
    result = project / "reports" / "validation" / "result.json"
    before = json.loads(result.read_text())["observed"]["test"]
    passed = (project / "reports" / "validation" / "passed").read_bytes()
    set_params(project, validate__min_entropy=7.9, data__test_fraction=0.3)
    command(["dvc", "repro", "validate"], project)
    changed = json.loads(command(["dvc", "metrics", "diff", "--json"], project))
    assert set(changed) == {"reports/validation/metrics.json"}
    assert before == 359 and json.loads(result.read_text())["observed"]["test"] > 459
    assert (project / "reports" / "validation" / "passed").read_bytes() == passed
