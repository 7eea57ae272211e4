"""`python -m gan.sample`: from the model file alone, the same images whatever the batch; what it refuses."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from gan import files, sample, xmp
from gan.data.arrays import read_arrays
from gan.errors import UserError
from gan.export import __main__ as export
from gan.networks.model_file import load, save
from gan.provenance import certificates, keys
from gan.provenance.credentials import Checker
from gan.provenance.mark import Mark
from tests.conftest import ROOT
from tests.in_process import printed_by
from tests.provenance.conftest import MakeModel, config_home, make_model

__all__ = ["config_home", "make_model"]  # fixtures

Draw = Callable[..., str]


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Draw:
    """Run the command in this process; return what it prints. Without `quick`, as a user would."""

    def call(model: Path, out: Path, *arguments: object, status: object = 0, quick: bool = True) -> str:
        options = ["--unsigned", "--no-mark", "--frames", 0] if quick else []
        argv = ["gan.sample", "--model", model, "--out", out, *options, *arguments]
        return printed_by(sample.main, argv, status, monkeypatch, capfd)

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.*"))}


@pytest.mark.parametrize("architecture", ["dcgan", "resnet"])
def test_the_same_images_whatever_the_batch_and_the_count(
    draw: Draw, make_model: MakeModel, tmp_path: Path, architecture: str
) -> None:
    model = make_model(network_architecture=architecture)
    for batch in (1, 7, 64, 500):
        draw(model, tmp_path / f"{batch}", "--count", 130, "--seed", 3, "--batch", batch)
    first = contents(tmp_path / "1")
    assert len(first) == 133
    for batch in (7, 64, 500):
        assert contents(tmp_path / f"{batch}") == first
    whole = read_arrays(tmp_path / "1" / "images.safetensors")
    for count in (1, 7, 64):
        draw(model, tmp_path / f"n{count}", "--count", count, "--seed", 3)
        few = read_arrays(tmp_path / f"n{count}" / "images.safetensors")
        assert np.array_equal(few.images, whole.images[:count])
        assert few.labels is not None
        assert whole.labels is not None
        assert np.array_equal(few.labels, whole.labels[:count])
    draw(model, tmp_path / "other", "--count", 7, "--seed", 4)
    other = read_arrays(tmp_path / "other" / "images.safetensors")
    assert not np.array_equal(other.images, whole.images[:7])


@pytest.mark.slow
def test_everything_from_the_model_file_alone(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    empty = tmp_path / "empty"
    empty.mkdir()
    argv = ["--model", model, "--count", 10, "--seed", 1, "--out", tmp_path / "out", "--frames", 6]
    done = subprocess.run(
        [sys.executable, "-m", "gan.sample", *map(str, argv)],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "10 images, marked and signed, in" in done.stderr
    assert not list(empty.iterdir())
    out = tmp_path / "out"
    names = {f"png/{i:05d}.png" for i in range(10)}
    assert set(contents(out)) == names | {
        "grid.png",
        "images.safetensors",
        "interpolation.webp",
        "provenance.json",
    }
    arrays = read_arrays(out / "images.safetensors")
    assert arrays.classes == ("ant", "bee", "cat")
    sha = files.sha256_file(model)
    checker = Checker([certificates.root(keys.signer().certificates)])
    for path in [*sorted(out.rglob("*.png")), out / "interpolation.webp"]:
        credentials = checker.read(path.read_bytes(), f"image/{path.suffix[1:]}")
        assert credentials is not None
        assert (credentials.state, credentials.model) == ("trusted", sha)
        with Image.open(path) as image:
            assert xmp.read(image.info["xmp"].decode()).model == sha
            if path.parent.name == "png":
                assert credentials.facts is not None
                index = credentials.facts["index"]
                assert np.array_equal(np.asarray(image).transpose(2, 0, 1), arrays.images[index])
                assert arrays.labels is not None
                assert credentials.facts["class"] == arrays.classes[arrays.labels[index]]
                assert (credentials.facts["seed"], credentials.facts["marked"]) == (1, True)
    assert Mark(keys.mark_key()).detect(arrays.images).p_value < 1e-4
    with Image.open(out / "grid.png") as grid:
        assert grid.size == (4 * 34 - 2, 3 * 34 - 2)
    with Image.open(out / "interpolation.webp") as animation:
        assert (animation.n_frames, animation.size) == (6, (134, 134))  # type: ignore[attr-defined]
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["model_sha256"] == sha
    assert str(tmp_path) not in (out / "provenance.json").read_text()


def test_a_class_and_truncation(draw: Draw, make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    for name, arguments in {
        "name": ("--class", "bee"),
        "number": ("--class", "1"),
        "all": (),
        "near": ("--class", "bee", "--truncation", "0.2"),
    }.items():
        draw(model, tmp_path / name, "--count", 20, *arguments)
    by_name, every, near = (
        load_file(tmp_path / name / "images.safetensors") for name in ("name", "all", "near")
    )
    assert (by_name["labels"] == 1).all()
    assert contents(tmp_path / "name") == contents(tmp_path / "number")
    assert not np.array_equal(by_name["images"], every["images"])
    same = every["labels"] == 1
    assert np.array_equal(by_name["images"][same], every["images"][same])
    assert near["images"].std(0).mean() < 0.5 * by_name["images"].std(0).mean()
    output = draw(model, tmp_path / "no", "--count", 5, "--class", "dog", status=1)
    assert (
        output
        == "error: --class dog: no class of this model; it has ant, bee, cat, or their numbers from 0\n"
    )
    none = make_model("plain.safetensors", classes=0)
    assert "has no classes" in draw(none, tmp_path / "no", "--count", 5, "--class", "1", status=1)
    draw(none, tmp_path / "plain", "--count", 5)
    assert set(load_file(tmp_path / "plain" / "images.safetensors")) == {"images"}
    old = make_model("old.safetensors", classes=3)
    tensors, config = load(old)
    del config["classes"]
    save(old, tensors, config)
    draw(old, tmp_path / "old", "--count", 5, "--class", "2")
    assert read_arrays(tmp_path / "old" / "images.safetensors").classes == ("0", "1", "2")
    assert not (tmp_path / "no").exists()


def test_a_gif(draw: Draw, make_model: MakeModel, tmp_path: Path) -> None:
    arguments = ("--unsigned", "--no-mark", "--count", 3, "--gif", "--frames", 4)
    draw(make_model(), tmp_path / "out", *arguments, quick=False)
    with Image.open(tmp_path / "out" / "interpolation.gif") as image:
        assert image.n_frames == 4  # type: ignore[attr-defined]


def test_what_is_wrong_is_one_line_and_nothing_is_written(
    draw: Draw, make_model: MakeModel, tmp_path: Path
) -> None:
    model = make_model()
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    assert "not an empty folder; name a new one" in draw(model, full, "--count", 1, status=1)
    assert "not an empty folder" in draw(model, model, "--count", 1, status=1)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    draw(model, tmp_path / "empty", "--count", 1)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(model.read_bytes()[:-100])
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    for bad, message in {
        cut: "not a model file of this project",
        text: "not a model file of this project",
        tmp_path / "nonesuch": "no such file",
        full / "mine.txt": "not a model file",
        make_model(
            "strange.safetensors", network={"architecture": "other"}
        ): "not a generator of this version",
        make_model("odd.safetensors", network=[]): "not a generator of this version",
    }.items():
        line = draw(bad, tmp_path / "no", "--count", 1, status=1)
        assert line.startswith(f"error: {bad}: ")
        assert message in line
        assert line.count("\n") == 1
    for arguments in (("--count", 0), ("--count", "x"), ("--count", 1, "--truncation", "-1"), ()):
        assert draw(model, tmp_path / "no", *arguments, status=2).count("\n") == 1
    key = tmp_path / "own.key"
    key.write_text("ab" * 32)
    key.chmod(0o644)
    arguments = ("--count", 1, "--unsigned", "--mark-key", key)
    assert "others may use this key" in draw(model, tmp_path / "no", *arguments, status=1, quick=False)
    assert not (tmp_path / "no").exists()
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_full_disk_leaves_nothing(
    draw: Draw, make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.name == "00002.png":
            raise OSError(28, "No space left on device")
        return real(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    message = (
        f"error: {tmp_path}/.out.tmp/png/00002.png: No space left on device; nothing half-written was left"
    )
    draw(make_model(), tmp_path / "out", "--count", 5, status=f"{message} there")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


OPTIONAL = ("c2pa", "cryptography", "onnx", "onnxruntime", "onnxscript")


@pytest.mark.slow
def test_without_what_only_provenance_and_export_need(make_model: MakeModel, tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules |= dict.fromkeys({OPTIONAL})
from gan import sample
from gan.export import __main__ as export
from gan.provenance import __main__
sample.main()
"""
    argv = ["--model", make_model(), "--count", 1, "--out", tmp_path / "a", "--unsigned", "--frames", 0]
    subprocess.run([sys.executable, "-c", program, *map(str, argv)], cwd=ROOT, check=True)


@pytest.mark.parametrize("missing", OPTIONAL)
def test_a_missing_package_is_named_in_one_line(
    draw: Draw, make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    model = make_model()
    monkeypatch.setitem(sys.modules, missing, None)
    name = "c2pa-python" if missing == "c2pa" else missing
    if missing.startswith("onnx"):
        if missing == "onnxruntime":
            monkeypatch.setattr(export, "_convert", lambda *_: b"")
        with pytest.raises(UserError, match=f"^{name}: not installed here"):
            export.export(model, tmp_path / "a.onnx")
    else:
        output = draw(model, tmp_path / "b", "--no-mark", "--count", 1, status=1, quick=False)
        assert output.startswith(f"error: {name}: not installed here")
        assert output.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {model.name, "config"}
