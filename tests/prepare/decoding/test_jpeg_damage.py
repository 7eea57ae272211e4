"""Pictures with holes are refused, whatever way the file takes through the decoders."""

import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gan.data.archive_members import Unreadable
from gan.prepare.decoding import decode
from gan.prepare.decoding.decode import Shape, prepare_image
from gan.prepare.decoding.jpeg_damage import has_zeros, lacks_scans
from tests.data.image_files import encoded, picture
from tests.data.planted_faults import cut

SHAPE = Shape(32, "center_crop", False, 50_000_000)
END = b"\xff\xd9"


def photo(seed: int, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    """A picture with the noise of a sensor, so that its bytes are spread over all of it."""
    smooth = np.asarray(picture(seed, size)).astype(int)
    noisy = smooth + np.random.default_rng(seed).integers(-20, 20, smooth.shape)
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert(mode)
    return encoded(image, "JPEG", **options)


def damaged(content: bytes, seed: int) -> dict[str, bytes]:
    """Four kinds of damage, each ending in an end marker."""
    begin = content.index(b"\xff\xda") + 14
    body = len(content) - 2 - begin
    hole = min(512, body // 3)
    offset = begin + random.Random(seed).randrange(0, body - hole)
    return {
        "half is missing": content[: begin + body // 2] + END,
        "an eighth is missing": content[: begin + body * 7 // 8] + END,
        "zeros inside": content[:offset] + bytes(hole) + content[offset + hole :],
        "bytes taken out": content[:offset] + content[offset + hole :],
    }


def refused(content: bytes, **changes: object) -> str | None:
    try:
        prepare_image(content, Shape(**{**vars(SHAPE), **changes}), facts := {})
    except Unreadable as reason:
        return str(reason)
    return facts.get("note")


WAYS = {
    "small": ((64, 64), "RGB", {}),
    "large": ((300, 200), "RGB", {}),
    "grey": ((300, 200), "L", {"optimize": True}),
    "CMYK": ((300, 200), "CMYK", {}),
    "turned": ((96, 64), "RGB", {"exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_holes_are_refused(way):
    size, mode, options = WAYS[way]
    for seed in range(10):
        whole = photo(seed, size, mode, **options)
        assert refused(whole) in (None, "rotated by EXIF", "CMYK converted")
        for kind, content in damaged(whole, seed).items():
            assert refused(content) == "damaged", (kind, seed)
            assert "damaged but kept" in str(refused(content, keep_damaged=True)), (kind, seed)


def test_a_progressive_file_that_ends_between_two_scans():
    for size in ((64, 64), (300, 200)):
        whole = photo(1, size, progressive=True)
        assert refused(whole) is None and not lacks_scans(whole)
        scans = [offset for offset in range(len(whole)) if whole[offset : offset + 2] == b"\xff\xda"]
        assert lacks_scans(whole[: scans[-1]] + END) and lacks_scans(whole[: scans[2]] + END)
        assert refused(whole[: scans[-1]] + END) == "damaged"
        assert [refused(content) for content in damaged(whole, 3).values()][:2] == ["damaged"] * 2


@pytest.mark.parametrize("way", WAYS)
def test_what_cameras_leave_before_the_end_marker_is_harmless(way):
    size, mode, options = WAYS[way]
    whole = photo(2, size, mode, **options)
    for extra in (b"\1\2\3\4\5", bytes(300), b"\xff\xff", b"\x20" * 64):
        content = whole[:-2] + extra + END
        assert refused(content) == refused(whole), extra
        for ours, theirs in zip(
            prepare_image(content, SHAPE, {}), prepare_image(whole, SHAPE, {}), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    assert refused(whole + b"a camera's own data" * 50) == refused(whole)


@pytest.mark.parametrize("size", [(300, 200), (513, 259), (129, 128)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}])
def test_large_and_turned_ones_have_pillows_pixels(monkeypatch, size, options):
    for mode in ("RGB", "L"):
        content = photo(1, size, mode, exif=WAYS["turned"][2]["exif"], **options)
        fast = prepare_image(content, SHAPE, {})
        with monkeypatch.context() as without:
            without.setattr(decode, "simplejpeg", None)
            slow = prepare_image(content, SHAPE, {})
        np.testing.assert_array_equal(fast[0], slow[0])
        np.testing.assert_array_equal(fast[1], slow[1])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "HEIF", "AVIF", "BMP"])
def test_what_other_formats_miss_is_refused_too(kind):
    image = picture(1, (200, 150)).convert("P" if kind == "GIF" else "RGB")
    whole = encoded(image, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    for length in (len(whole) // 2, len(whole) * 7 // 8):
        content = whole[:length]
        mended = content[:4] + (length - 8).to_bytes(4, "little") + content[8:] if kind == "WEBP" else content
        for each in (content, mended, content + b"\0;" * (kind == "GIF")):
            assert refused(each) in ("truncated", "damaged"), length


SECTOR = 512  # bytes, of a disk


@pytest.mark.parametrize("progressive", [False, True])
def test_a_sector_of_zeros_is_seen_though_it_may_be_a_legal_stream_of_bits(progressive):
    tried = 0
    for seed in range(120):
        rng = random.Random(seed)
        size = rng.choice([(64, 64), (128, 96), (300, 200), (320, 240)])
        make = (
            photo
            if seed % 2
            else lambda number, size, **options: encoded(cut(number, size), "JPEG", **options)
        )
        options = {"quality": rng.choice([50, 75, 85, 95]), "subsampling": rng.choice([0, 1, 2])}
        whole = make(seed, size, progressive=progressive, optimize=seed % 3 > 0, **options)
        assert refused(whole) is None
        begin = whole.index(b"\xff\xda") + 14
        if len(whole) - begin < 2 * SECTOR:
            continue
        offset = rng.randrange(begin, len(whole) - 2 - SECTOR)
        holed = whole[:offset] + bytes(SECTOR) + whole[offset + SECTOR :]
        assert refused(holed) == "damaged", seed
        tried += 1
    assert tried > 80


def flat_pictures(size: tuple[int, int]) -> Iterator[Image.Image]:
    """Pictures of large equal parts, whose data hold runs of zeros when their tables are made for them."""
    for colour in ("black", "white", (3, 200, 77)):
        yield Image.new("RGB", size, colour)
    for period in (8, 16, 64):
        row = 255 - np.arange(size[0]) // period  # a steady fall
        yield Image.fromarray(np.tile(row.clip(0).astype(np.uint8), (size[1], 1))).convert("RGB")
    yield Image.linear_gradient("L").rotate(90).resize(size).convert("RGB")
    lines = Image.new("RGB", size, "white")
    for number in range(20):
        ImageDraw.Draw(lines).line([(number * 7, 0), (size[0], number * 30)], (number * 10, 0, 0))
    yield lines
    stamp = Image.new("RGB", size, "black")
    stamp.paste(cut(7), (5, 5))
    yield stamp
    yield cut(6, size).quantize(4).convert("RGB")


def test_pictures_of_equal_parts_are_whole():
    runs = 0
    for image in flat_pictures((640, 420)):
        for quality in (10, 75, 95):
            for options in ({}, {"optimize": True}, {"progressive": True}):
                for mode in ("RGB", "L", "CMYK"):
                    content = encoded(image.convert(mode), "JPEG", quality=quality, **options)
                    assert refused(content) in (None, "blank", "CMYK converted")
                    runs += bytes(64) in content[content.index(b"\xff\xda") :]
    assert runs > 20  # or this would show nothing


@pytest.mark.slow
def test_no_picture_of_a_real_set_is_taken_for_one_with_zeros(datasets: Path):
    count = 0
    with tarfile.open(datasets / "cifar10-images.tar.xz", "r|*") as tar:
        for info in tar:
            if info.isreg() and (file := tar.extractfile(info)):
                assert not has_zeros(file.read()), info.name
                count += 1
    assert count == 60_000
