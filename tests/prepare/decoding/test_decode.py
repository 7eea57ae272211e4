import io
import struct
import zlib
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from gan.data.archive_members import Unreadable
from gan.prepare.decoding import decode
from gan.prepare.decoding.batch import prepare_chunk
from gan.prepare.decoding.decode import Shape
from gan.prepare.value_ranges import decide_ranges
from tests.data.image_files import encoded, picture

SHAPE = Shape(32, "center_crop", False, 50_000_000)
RIGHT = (32, 32)


def prepare(content, **changes):
    """Return the pixels and the manifest's columns of one image. Raises Unreadable when it is refused."""
    shape = Shape(**{**vars(SHAPE), **changes})
    prepared = prepare_chunk([content], shape)
    if prepared.extremes:
        prepared = prepare_chunk([content], shape, decide_ranges(prepared.extremes))
    columns, channels, pixels, *_ = prepared
    facts = {name: column[0] for name, column in columns.items()}
    if facts["status"] == "refused":
        raise Unreadable(facts["reason"])
    return np.frombuffer(pixels, np.uint8).reshape(channels[0], shape.size, shape.size), facts


def direct(content, mode="RGB"):
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert(mode))
    return pixels[None] if mode == "L" else pixels.transpose(2, 0, 1)


def png(width, height, body, depth=8, colour=0):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *product(("RGB", "L"), ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")),
        *product(("P",), ("PNG", "GIF", "BMP", "TIFF")),  # the others have no palettes
    ],
)
def test_the_right_size_comes_through_bit_equal(mode, kind):
    content = encoded(picture(1, RIGHT, mode), kind)
    pixels, facts = prepare(content)
    grey = mode == "L" and kind != "WEBP"  # which stores colours
    np.testing.assert_array_equal(pixels, direct(content, "L" if grey else "RGB"))
    assert facts["format"] == kind and (facts["width"], facts["height"]) == RIGHT and facts["note"] is None
    assert facts["std"] == pytest.approx(pixels.std(), abs=1e-3)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_other_colour_spaces_become_rgb(mode):
    content = encoded(picture(1, RIGHT, mode), "JPEG" if mode == "CMYK" else "TIFF")
    pixels, facts = prepare(content)
    np.testing.assert_array_equal(pixels, direct(content))
    assert facts["mode"] == mode


def test_two_colours():
    pixels, _ = prepare(encoded(picture(1, RIGHT, "1")))
    assert pixels.shape == (1, 32, 32) and set(np.unique(pixels)) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind):
    values = (np.arange(1024, dtype=np.uint16) * 64).reshape(RIGHT)
    pixels, facts = prepare(encoded(Image.fromarray(values), kind))
    np.testing.assert_array_equal(pixels[0], values >> 8)
    assert facts["note"] == "16-bit reduced"


def test_sixteen_bits_of_colour_are_noted():
    rows = b"".join(b"\0" + bytes(range(64, 256)) for _ in range(32))
    pixels, facts = prepare(png(32, 32, zlib.compress(rows), depth=16, colour=2))
    assert facts["note"] == "16-bit reduced" and pixels[0, 0, 1] == 70


@pytest.mark.parametrize(("top", "scale"), [(1.0, 255), (255.0, 1), (65535.0, 255 / 65535)])
def test_floating_point_is_scaled(top, scale):
    values = np.linspace(0, top, 1024, dtype=np.float32).reshape(RIGHT)
    pixels, facts = prepare(encoded(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(pixels[0], values * scale, atol=0.51)
    assert facts["note"] == f"float reduced from 0 to {top:g}"


def test_not_a_number_is_refused():
    with pytest.raises(Unreadable, match="not numbers"):
        prepare(encoded(Image.fromarray(np.full(RIGHT, np.nan, np.float32)), "TIFF"))


def test_wide_integers_are_scaled():
    values = np.linspace(0, 2**31 - 1, 1024).astype(np.int32).reshape(RIGHT)
    pixels, facts = prepare(encoded(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(pixels[0], values / 2**31 * 255, atol=0.51)
    assert facts["note"] == "32-bit reduced from 0 to 2.14748e+09"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_transparency_is_white(kind):
    image = picture(1, RIGHT, "RGBA")
    image.putalpha(Image.new("L", RIGHT, 0))
    image.paste((200, 10, 20, 255), (0, 0, 16, 32))
    pixels, facts = prepare(encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert facts["note"] == "alpha composited"
    assert (pixels[:, :, 16:] == 255).all()
    np.testing.assert_allclose(pixels[:, 5, 5], (200, 10, 20), atol=3)


def test_transparent_colours_and_grey_with_alpha():
    for mode, colour in (("L", 7), ("RGB", (7, 7, 7))):
        image = Image.new(mode, RIGHT, colour)
        image.paste(0, (0, 0, 4, 32))
        pixels, facts = prepare(encoded(image, transparency=colour))
        assert facts["note"] == "alpha composited"
        assert (pixels[:, :, :4] == 0).all() and (pixels[:, :, 4:] == 255).all()
    pixels, facts = prepare(encoded(picture(1, RIGHT, "LA")))
    assert facts["note"] is None and pixels.shape == (1, 32, 32)  # opaque, so nothing was composited


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied_once(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = picture(1, (48, 32))
    lossless = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    pixels, facts = prepare(encoded(image, kind, exif=exif, **lossless), fit="stretch")
    upright, _ = prepare(encoded(image.transpose(Image.Transpose.ROTATE_270)), fit="stretch")
    assert facts["note"] == "rotated by EXIF"
    assert np.abs(pixels.astype(int) - upright).mean() < 3


def test_a_broken_exif_block_does_not_matter():
    content = encoded(picture(1, RIGHT), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0")
    np.testing.assert_array_equal(prepare(content)[0], direct(content))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_a_film(kind):
    frames = [picture(seed, RIGHT, "L") for seed in range(5)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    pixels, facts = prepare(content)
    assert facts["note"] == "first frame of 5"
    np.testing.assert_array_equal(pixels[0], np.asarray(frames[0]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_truncated_files_are_refused(kind):
    whole = encoded(picture(1, (200, 160)), kind)
    for cut in (len(whole) // 3, len(whole) * 2 // 3, len(whole) - 200):
        with pytest.raises(Unreadable, match=r"truncated|damaged"):
            prepare(whole[:cut])


def test_reasons():
    flipped = bytearray(encoded(picture(1)))
    flipped[len(flipped) // 2] ^= 0xFF
    black = zlib.compress(bytes(1 + 9000 // 8) * 9000)
    cases = {
        "empty file": b"",
        "not an image": b"<html>404 not found</html>",
        "damaged": bytes(flipped),
        "blank": encoded(Image.new("RGB", RIGHT, "red")),
        "too many pixels": png(9000, 9000, black, depth=1),
        "too small": encoded(picture(1, (3, 100))),
        "truncated": encoded(picture(1), "JPEG")[:300],
    }
    for reason, content in cases.items():
        with pytest.raises(Unreadable, match=f"^{reason}$"):
            prepare(content)


def test_a_bomb_in_a_text_chunk_is_refused():
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "A" * (70 << 20), zip=True)
    with pytest.raises(Unreadable, match="damaged"):
        prepare(encoded(picture(1), pnginfo=text))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"]), st.data())
def test_no_damage_escapes(kind, data):
    content = bytearray(encoded(picture(3), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels, _ = prepare(bytes(content[: data.draw(st.integers(0, len(content)))]), max_pixels=1_000_000)
        assert pixels.shape in ((1, 32, 32), (3, 32, 32))
    except Unreadable:
        pass


def test_fits():
    image = Image.new("RGB", (64, 32), "red")
    image.paste("blue", (16, 0, 48, 32))
    image.putpixel((20, 9), (0, 0, 254))  # or the crop were blank
    crop, _ = prepare(encoded(image))
    assert (crop[2] >= 254).all() and (crop[0] == 0).all()  # the middle, cut without resampling
    pad, _ = prepare(encoded(image), fit="pad")
    assert (pad[0, :, 0] == 255).all() and (pad[2, 0] == pad[2, 16]).all()  # edges repeated above and below
    stretch, _ = prepare(encoded(image), fit="stretch")
    assert (stretch[2, :, 16] == 255).all() and (stretch[0, :, 1] == 255).all()


def test_shrinking_is_antialiased():
    stripes = np.tile(np.array([0, 255], np.uint8), (256, 128))
    stripes[:64, :64] = 0
    for kind in ("PNG", "JPEG"):
        pixels, _ = prepare(encoded(Image.fromarray(stripes), kind))
        assert np.abs(pixels[:, 12:].astype(int) - 127).max() <= 6


def test_grey():
    colour = encoded(picture(1, RIGHT))
    assert prepare(colour)[0].shape == (3, 32, 32)
    np.testing.assert_array_equal(prepare(colour, grey=True)[0], direct(colour, "L"))
    as_rgb = encoded(picture(1, RIGHT, "L").convert("RGB"))
    assert prepare(as_rgb)[0].shape == (1, 32, 32)


def test_arrays_are_prepared_as_files_are():
    array = np.asarray(picture(1, RIGHT))
    pixels, facts = prepare(array)
    np.testing.assert_array_equal(pixels, array.transpose(2, 0, 1))
    assert (facts["format"], facts["mode"], facts["bytes"]) == ("array", "RGB", 3072)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_photos_of_phones(kind):
    image = picture(1, (64, 48))
    pixels, facts = prepare(encoded(image, kind, quality=95), fit="stretch")
    expected, _ = prepare(encoded(image), fit="stretch")
    assert facts["format"] == kind and (facts["width"], facts["height"]) == (64, 48)
    assert np.abs(pixels.astype(int) - expected).mean() < 4


def test_without_pillow_heif_such_photos_are_refused_by_name(monkeypatch):
    content = encoded(picture(1, (64, 48)), "HEIF")
    monkeypatch.setattr(decode, "pillow_heif", None)
    with pytest.raises(Unreadable, match=r"^HEIC, convert it to JPEG or install pillow-heif$"):
        prepare(content)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"quality": 30}, {"subsampling": 0}, {"progressive": True}])
def test_without_simplejpeg_the_pixels_are_the_same(monkeypatch, mode, options):
    content = encoded(picture(1, (61, 45), mode), "JPEG", **options)
    fast = prepare(content)
    monkeypatch.setattr(decode, "simplejpeg", None)
    slow = prepare(content)
    np.testing.assert_array_equal(fast[0], slow[0])
    assert fast[1] == slow[1]


def test_equal_images_in_one_chunk_have_equal_rows_and_the_order_is_kept():
    colour, plain = encoded(picture(1, RIGHT)), encoded(picture(2, RIGHT, "L"))
    contents = [colour, b"", plain, None, colour]
    columns, channels, pixels, small, _ = prepare_chunk(contents, SHAPE)
    assert channels == [3, 0, 1, 0, 3] and len(pixels) == 7 * 1024 and len(small) == 3 * 256
    assert columns["status"] == ["ok", "refused", "ok", "refused", "ok"]
    assert columns["reason"] == [None, "empty file", None, None, None]
    assert (
        pixels[:3072] == pixels[4096:] and columns["dhash"][0] == columns["dhash"][4] != columns["dhash"][2]
    )
    assert pixels[3072:4096] == direct(plain, "L").tobytes()
