"""`python -m gan.provenance`: what it says of our pictures, of what became of them, and of others."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from gan.data import images
from gan.provenance import __main__ as command
from gan.provenance import certificates, keys
from gan.provenance.credentials import Stamp
from gan.provenance.mark import Mark
from tests.conftest import ROOT
from tests.in_process import printed_by
from tests.provenance.conftest import MakeModel
from tests.provenance.pictures import FACTS, MODEL, PNG

Provenance = Callable[..., str]


@pytest.fixture
def provenance(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Provenance:
    """Run the command in this process; return what it prints, stderr included."""

    def call(*arguments: object, status: int = 0, **variables: str) -> str:
        with monkeypatch.context() as context:
            for name, value in variables.items():
                context.setenv(name, value)
            return printed_by(command.main, ["gan.provenance", *arguments], status, context, capfd)

    return call


def photo() -> Image.Image:
    return Image.fromarray(load_sample_images().images[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Our picture, marked and signed, and what may become of one; a photo, a forgery, rubbish."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    keys.mark_key()
    keys.mark_file().write_text("5a" * 32)  # always the same, so that the p-values are too
    smooth = np.asarray(photo().resize((64, 64), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    (marked,) = Mark(keys.mark_key()).embed(smooth[None])
    png = images.png_bytes(marked, MODEL)
    signed = Stamp(keys.signer()).sign(png, "image/png", "00000.png", FACTS)
    (pictures / "ours.png").write_bytes(signed)
    with Image.open(io.BytesIO(signed)) as image:
        image.save(pictures / "saved.png")  # stripped: Pillow drops what it does not know
        image.save(pictures / "saved.jpg", quality=90)
        image.save(pictures / "saved.webp", xmp=image.info["xmp"])
        image.crop((2, 2, 62, 62)).save(pictures / "cropped.png")
    changed = bytearray(signed)
    changed[changed.rfind(b"IEND") - 5] ^= 1  # the last checksum: the pixels are as they were
    (pictures / "altered.png").write_bytes(changed)
    forger = keys.Signer(Path("key"), Path("chain"), *certificates.issue())
    (pictures / "forged.png").write_bytes(Stamp(forger).sign(PNG, "image/png", "00000.png", FACTS))
    (pictures / "claimed.png").write_bytes(PNG)
    photo().save(pictures / "photo.jpg", quality=90)
    (pictures / "cut.png").write_bytes(signed[: len(signed) * 3 // 4])
    (pictures / "text.png").write_text("not a picture")
    (pictures / "empty.gif").write_bytes(b"")
    return pictures


def test_each_gets_its_verdict_and_none_more_than_is_known(provenance: Provenance, folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    files = [folder / name for name in [*names, "nonesuch.png"]]
    result = json.loads(provenance("verify", "--json", *files, status=4))
    verdicts = {Path(item["file"]).name: item for item in result["files"]}
    assert {name: (item["kind"], item["status"]) for name, item in verdicts.items()} == {
        "ours.png": ("signed", 0),
        "saved.png": ("marked", 3),
        "saved.jpg": ("marked", 3),
        "cropped.png": ("marked", 3),
        "saved.webp": ("claimed", 3),
        "altered.png": ("altered", 4),
        "forged.png": ("untrusted", 4),
        "claimed.png": ("claimed", 3),
        "photo.jpg": ("unknown", 3),
        "cut.png": ("unreadable", 1),
        "text.png": ("unreadable", 1),
        "empty.gif": ("unreadable", 1),
        "nonesuch.png": ("unreadable", 1),
    }
    assert all(
        verdicts[name]["model"] == MODEL for name in ("ours.png", "altered.png", "forged.png", "claimed.png")
    )
    assert verdicts["saved.png"]["model"] is None
    assert verdicts["saved.webp"]["p_value"] < 1e-4
    assert verdicts["photo.jpg"]["p_value"] is verdicts["claimed.png"]["p_value"] is None
    assert "does not know" in verdicts["photo.jpg"]["text"]
    assert "does not make it a photograph" in verdicts["photo.jpg"]["text"]
    assert "nobody here vouches for" in verdicts["forged.png"]["text"]
    assert "anyone can write that" in verdicts["claimed.png"]["text"]
    assert not any("\n" in item["text"] for item in verdicts.values())


@pytest.mark.parametrize(
    ("name", "status"),
    [("ours.png", 0), ("text.png", 1), ("photo.jpg", 3), ("claimed.png", 3), ("forged.png", 4)],
)
def test_one_line_and_an_exit_status_for_one_file(
    provenance: Provenance, folder: Path, name: str, status: int
) -> None:
    text = provenance("verify", folder / name, status=status)
    assert text.startswith(f"{folder / name}: ")
    assert text.count("\n") == 1


def test_others_trust_us_by_our_root_alone(provenance: Provenance, folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_text(provenance("keys", "--root"))
    assert root.read_text().count("BEGIN CERTIFICATE") == 1
    elsewhere = {"XDG_CONFIG_HOME": str(tmp_path / "elsewhere")}
    assert "nobody here vouches" in provenance("verify", folder / "ours.png", status=4, **elsewhere)
    assert "whom we trust" in provenance("verify", "--trust", root, folder / "ours.png", **elsewhere)
    assert not (tmp_path / "elsewhere").exists()  # verifying makes no keys
    output = provenance("verify", "--trust", folder / "photo.jpg", folder / "ours.png", status=1)
    assert output.startswith("error: --trust ")
    assert output.count("\n") == 1


def test_a_set_betrays_what_single_pictures_hide(provenance: Provenance, tmp_path: Path) -> None:
    keys.mark_key()
    keys.mark_file().write_text("5a" * 32)
    rng = np.random.default_rng(0)
    noisy = rng.integers(60, 196, (40, 1, 32, 32), dtype=np.uint8)
    marked = Mark(keys.mark_key()).embed(noisy, 2.0)
    for i, image in enumerate(marked):
        with Image.fromarray(image[0]) as picture:
            picture.save(tmp_path / f"{i:02d}.jpg", quality=75)
    together = json.loads(provenance("verify", "--json", *sorted(tmp_path.glob("*.jpg")), status=3))
    assert together["mark_of_all_unsigned"] < 1e-6
    text = provenance("verify", *sorted(tmp_path.glob("*.jpg")), status=3)
    assert "the 40 pictures without a good signature, together: the mark is in them" in text
    keys.mark_file().unlink()
    keys.mark_key()
    other = json.loads(provenance("verify", "--json", *sorted(tmp_path.glob("*.jpg")), status=3))
    assert other["mark_of_all_unsigned"] > 1e-4


def test_a_model_file_says_what_it_carries(
    provenance: Provenance, make_model: MakeModel, tmp_path: Path
) -> None:
    record = {"data_inventory_sha256": "d" * 64, "packages": {"torch": "2.13.0", "ganflow": "0.1.0"}}
    text = provenance("verify", make_model(**record))
    for fact in ("dcgan", "640 images seen", "ant, bee, cat", "d" * 64, "torch 2.13.0", "flows.history"):
        assert fact in text
    old = provenance("verify", make_model("old.safetensors"))
    assert "does not say what data" in old
    shutil.copy(ROOT / "params.yaml", tmp_path / "other.safetensors")
    assert "not a model file" in provenance("verify", tmp_path / "other.safetensors", status=1)


def test_what_strangers_write_is_no_command_to_the_terminal(provenance: Provenance, tmp_path: Path) -> None:
    forger = keys.Signer(Path("k"), Path("c"), *certificates.issue("evil\x1b[2J\nname"))
    facts = {"model_sha256": "\x1b]0;owned\x07"}
    (tmp_path / "a.png").write_bytes(Stamp(forger).sign(PNG, "image/png", "a", facts))
    text = provenance("verify", tmp_path / "a.png", status=4)
    assert text.count("\n") == 1
    assert text.strip().isprintable()
    assert "owned" not in text


def test_keys_says_where_they_are_and_never_what(provenance: Provenance, config_home: Path) -> None:
    before = provenance("keys")
    assert str(config_home / "ganflow" / "signing" / "key.pem") in before
    assert "made with the first" in before
    assert not config_home.exists()
    output = provenance("keys", "--root", status=1)
    assert output.startswith("error: ")
    signer, secret = keys.signer(), keys.mark_key()
    text = provenance("keys")
    assert certificates.facts(signer.certificates).fingerprint in text
    assert secret.hex() not in text
    assert "PRIVATE KEY" not in text
    keys.mark_file().chmod(0o644)
    text = provenance("keys")
    assert "NOT PRIVATE" in text
    assert text.count(secret.hex()) == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_socket_is_opened(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = [sys.executable, "-m", "gan.provenance", "verify", *map(str, sorted(folder.iterdir()))]
    options = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto", "-o", str(trace)]
    subprocess.run([*options, *command], cwd=ROOT, capture_output=True, check=False)
    lines = [line for line in trace.read_text().splitlines() if "AF_INET" in line]
    assert not lines
