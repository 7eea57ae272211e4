"""The claim in a picture's metadata: written, found again, whoever wrote it, and never parsed."""

import io

import numpy as np
import pytest
from PIL import Image

from gan import xmp
from gan.data import images

MODEL = "0123456789abcdef" * 4
GREY = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)


def info(content: bytes) -> dict[str, object]:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return dict(image.info)


def test_a_png_says_which_model_made_it() -> None:
    packet = info(images.png_bytes(GREY, MODEL))["xmp"]
    assert isinstance(packet, bytes)
    assert xmp.read(packet.decode()) == xmp.Claim(MODEL, "trainedAlgorithmicMedia")
    assert xmp.GENERATED == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    mixed = info(images.png_bytes(GREY, MODEL, composite=True))["xmp"]
    assert isinstance(mixed, bytes)
    assert xmp.read(mixed.decode()).source_type == "compositeWithTrainedAlgorithmicMedia"
    assert "xmp" not in info(images.png_bytes(GREY))


def test_the_pixels_and_the_bytes_are_the_same_each_time() -> None:
    with Image.open(io.BytesIO(images.png_bytes(GREY, MODEL))) as image:
        assert np.array_equal(np.asarray(image), GREY[0])
    assert images.png_bytes(GREY, MODEL) == images.png_bytes(GREY, MODEL)


@pytest.mark.parametrize("kind", ["WEBP", "GIF"])
def test_an_animation_has_every_frame_and_says_it_too(kind: str) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 3, 24, 40), dtype=np.uint8)
    content = images.animation_bytes(frames, MODEL, kind)  # type: ignore[arg-type]
    assert content == images.animation_bytes(frames, MODEL, kind)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.n_frames, image.size) == (kind, 5, (40, 24))  # type: ignore[attr-defined]
        packet = image.info["xmp" if kind == "WEBP" else "comment"]
        assert image.info["loop"] == 0
        if kind == "WEBP":  # lossless
            for i, frame in enumerate(frames):
                image.seek(i)
                assert np.array_equal(np.asarray(image.convert("RGB")).transpose(2, 0, 1), frame)
    assert xmp.read(packet.decode()) == xmp.Claim(MODEL, "trainedAlgorithmicMedia")


def test_what_other_programs_wrote_is_read_and_what_is_no_hash_is_not() -> None:
    attribute = f'<rdf:Description g:ModelSha256="{MODEL}" i:DigitalSourceType="{xmp.GENERATED}"/>'
    assert xmp.read(attribute) == xmp.Claim(MODEL, "trainedAlgorithmicMedia")
    assert xmp.read(f"<g:ModelSha256>{MODEL}0</g:ModelSha256>").model is None
    assert xmp.read("<g:ModelSha256>the best model</g:ModelSha256>").model is None
    camera = xmp.SOURCE_TYPES + "digitalCapture"
    assert xmp.read(f"<DigitalSourceType>{camera}<") == xmp.Claim(None, "digitalCapture")
    assert xmp.read("<!ENTITY a 'aaa'>" * 1000) == xmp.Claim(None, None)
    for wrong in ("", MODEL[1:], MODEL.upper(), "<" * 64):
        with pytest.raises(ValueError, match="not a SHA-256"):
            xmp.packet(wrong)
