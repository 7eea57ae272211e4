"""Colours come out in sRGB, within a level of littlecms' own transform, from whatever says what they are."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from gan.prepare.decoding.decode import Shape, prepare_image
from gan.prepare.decoding.icc_profiles import ADOBE_RGB, by_code_points, by_gamma
from tests.data.image_files import encoded, picture

SHAPE = Shape(32, "stretch", False, 50_000_000)
P3 = by_code_points(12, 13)
LINEAR = by_gamma((100_000).to_bytes(4, "big"), None)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
PROFILES = {"Display P3": P3, "Adobe RGB": ADOBE_RGB, "BT.2020": by_code_points(9, 13), "linear": LINEAR}
VIVID = picture(7, (32, 32))


def grey_profile(gamma: float) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(78 + 1)
    return profile_of([(b"desc", name), (b"wtpt", white), (b"kTRC", curve)], b"mntrGRAYXYZ ")


def profile_of(tags: list[tuple[bytes, bytes]], kind: bytes) -> bytes:
    """An ICC profile of version 2 with these tags; ``kind``: its class, its space and what it leads to."""
    table, data, begin = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, body in tags:
        table += struct.pack(">4sII", tag, begin + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI12s12s4s", begin + len(data), bytes(4), 0x02400000, kind, bytes(12), b"acsp")
    head += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + data


def cmyk_profile() -> bytes:
    """A printer's profile: a table of two steps an ink, in Lab (ICC.1:2001-04, 6.5.9)."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    light = 100 * np.prod(1 - inks * [0.35, 0.45, 0.1, 0.9], 1)
    red_green = 60 * inks[:, 1] - 40 * inks[:, 0]
    yellow_blue = 8 + 70 * inks[:, 2] - 45 * inks[:, 0]
    lab = np.stack([light * 652.8, (red_green + 128) * 256, (yellow_blue + 128) * 256], 1)
    ramp = struct.pack(">2H", 0, 65535)
    table = (
        b"mft2" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    )
    table += struct.pack(">2H", 2, 2) + ramp * 4 + lab.round().astype(">u2").tobytes() + ramp * 3
    name = b"desc" + bytes(4) + struct.pack(">I", 6) + b"press\0" + bytes(78)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    return profile_of([(b"desc", name), (b"wtpt", white), (b"A2B0", table)], b"prtrCMYKLab ")


def littlecms(image: Image.Image, profile: bytes) -> np.ndarray:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    done = ImageCms.profileToProfile(image, opened, SRGB, outputMode="RGB")
    return np.asarray(done).astype(int)


def prepared(content: bytes) -> tuple[np.ndarray, str | None]:
    facts: dict = {}
    pixels, _ = prepare_image(content, SHAPE, facts)
    return pixels.astype(int), facts.get("note")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "HEIF", "AVIF"])
def test_an_embedded_profile_is_applied(kind, profile):
    lossless = {"WEBP": {"lossless": True}}.get(kind, {})
    content = encoded(VIVID, kind, icc_profile=PROFILES[profile], **lossless)
    with Image.open(io.BytesIO(content)) as image:
        decoded = image.convert("RGB")
    pixels, note = prepared(content)
    assert np.abs(pixels - littlecms(decoded, PROFILES[profile])).max() <= 1
    assert np.abs(pixels - np.asarray(decoded).astype(int)).max() > 4
    assert note.startswith("colours from ") and note.endswith(" to sRGB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_srgb_and_no_profile_change_nothing(kind):
    lossless = {"WEBP": {"lossless": True}}.get(kind, {})
    plain, note = prepared(encoded(VIVID, kind, **lossless))
    same, other = prepared(encoded(VIVID, kind, icc_profile=SRGB.tobytes(), **lossless))
    np.testing.assert_array_equal(plain, same)
    assert note is None and other is None


def chunked(image: Image.Image, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks before its pixels."""
    content = encoded(image)
    more = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return content[:33] + more + content[33:]


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", round(value * 100_000).to_bytes(4, "big")


def chrm(*points: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in points))


REC709 = chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
ADOBE = chrm(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def test_png_chunks_are_profiles():
    wide = prepared(encoded(VIVID, icc_profile=P3))[0]
    pixels, note = prepared(chunked(VIVID, (b"cICP", bytes([12, 13, 0, 1]))))
    np.testing.assert_array_equal(pixels, wide)
    assert note == "colours from Display P3 to sRGB"
    pixels, note = prepared(chunked(VIVID, gama(1.0)))
    assert note == "colours from gamma 1 to sRGB"
    light = np.asarray(VIVID) / 255
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(pixels - expected).max() <= 1
    adobe = prepared(chunked(VIVID, gama(1 / 2.19921875), ADOBE))[0]
    assert np.abs(adobe - prepared(encoded(VIVID, icc_profile=ADOBE_RGB))[0]).max() <= 1
    usual = [
        (gama(0.45455),),
        (gama(0.45455), REC709),
        (gama(1.0), (b"sRGB", b"\0")),
        ((b"cICP", bytes([1, 13, 0, 1])),),
    ]
    for chunks in usual:
        pixels, note = prepared(chunked(VIVID, *chunks))
        np.testing.assert_array_equal(pixels, np.asarray(VIVID))
        assert note is None


def test_grey_alpha_and_palettes():
    grey = VIVID.convert("L")
    pixels, note = prepared(encoded(grey, icc_profile=grey_profile(1.0)))
    assert np.abs(pixels - littlecms(grey, grey_profile(1.0))[..., 1]).max() <= 1 and "grey" in note
    assert pixels.ndim == 2
    clear = VIVID.copy()
    clear.putalpha(255)
    np.testing.assert_array_equal(
        prepared(encoded(clear, icc_profile=P3))[0], prepared(encoded(VIVID, icc_profile=P3))[0]
    )
    few = VIVID.quantize(16)
    pixels, _ = prepared(encoded(few, icc_profile=P3))
    assert np.abs(pixels - littlecms(few.convert("RGB"), P3)).max() <= 1


@pytest.mark.parametrize("profile", [b"not a profile", P3[:300], P3[:36] + b"xxxx" + P3[40:]])
def test_a_broken_profile_is_noted_and_ignored(profile):
    pixels, note = prepared(encoded(VIVID, icc_profile=profile))
    np.testing.assert_array_equal(pixels, np.asarray(VIVID))
    assert note == "broken colour profile ignored"


def test_a_profile_of_another_kind_is_noted_and_ignored():
    pixels, note = prepared(encoded(VIVID, icc_profile=grey_profile(1.0)))
    np.testing.assert_array_equal(pixels, np.asarray(VIVID))
    assert note == "colour profile of another kind ignored"


def test_a_camera_that_says_adobe_rgb_in_its_exif():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    content = encoded(VIVID, "JPEG", exif=exif, quality=95)
    with Image.open(io.BytesIO(content)) as image:
        decoded = image.convert("RGB")
    pixels, note = prepared(content)
    assert note == "colours from Adobe RGB to sRGB"
    assert np.abs(pixels - littlecms(decoded, ADOBE_RGB)).max() <= 1


def test_cmyk_is_converted_by_its_own_profile():
    inks = VIVID.convert("CMYK")
    for kind in ("TIFF", "JPEG"):
        options = {"quality": 95} if kind == "JPEG" else {}
        content = encoded(inks, kind, icc_profile=cmyk_profile(), **options)
        with Image.open(io.BytesIO(content)) as image:
            stored = image.copy()
        pixels, note = prepared(content)
        assert np.abs(pixels - littlecms(stored, cmyk_profile())).max() <= 1
        assert note == "colours from press to sRGB"
        plain, other = prepared(encoded(inks, kind, **options))
        assert other == "CMYK converted" and np.abs(pixels - plain).mean() > 10
        note = prepared(encoded(VIVID, kind, icc_profile=cmyk_profile(), **options))[1]
        assert note == "colour profile of another kind ignored"


def test_code_points_of_a_phones_photo_without_a_profile():
    code_points = {"transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1}
    contents = {
        name: encoded(VIVID, "HEIF", color_primaries=p, **code_points)
        for name, p in (("P3", 12), ("sRGB", 1))
    }
    avif = encoded(VIVID, "AVIF", quality=95)
    assert avif.count(b"colrnclx\0\1\0\x0d") == 1
    contents["P3, AVIF"] = avif.replace(b"colrnclx\0\1", b"colrnclx\0\x0c")
    contents["sRGB, AVIF"] = avif
    for name, content in contents.items():
        with Image.open(io.BytesIO(content)) as image:
            stored = image.convert("RGB")
            assert "icc_profile" not in image.info
        pixels, note = prepared(content)
        if name.startswith("P3"):
            assert np.abs(pixels - littlecms(stored, P3)).max() <= 1
            assert (
                note == "colours from Display P3 to sRGB" and np.abs(pixels - np.asarray(stored)).max() > 20
            )
        else:
            np.testing.assert_array_equal(pixels, np.asarray(stored))
            assert note is None
    both = encoded(VIVID, "HEIF", icc_profile=LINEAR, color_primaries=12, **code_points)
    assert prepared(both)[1] == "colours from gamma 1 to sRGB"  # a profile says more than code points


def test_large_photos_are_managed_too():
    large = picture(7, (400, 300))
    for kind in ("JPEG", "HEIF"):
        pixels, note = prepared(encoded(large, kind, icc_profile=P3, quality=95))
        expected = littlecms(large, P3).reshape(300, 400, 3)
        assert np.abs(pixels.mean((0, 1)) - expected.mean((0, 1))).max() < 2
        assert note == "colours from Display P3 to sRGB"
