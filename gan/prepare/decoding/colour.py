"""Colours to sRGB by littlecms: ICC profiles, PNG's cICP and gAMA with cHRM, HEIC's and AVIF's nclx.

Perceptual intent. Pillow's littlecms computes 8-bit pixels in integers through tables that it makes once a
profile, without vector instructions, so the bits are the same on every processor. A profile that changes no
colour by more than one level is sRGB in all but name and is skipped.
"""

import io
import re
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from gan.prepare.decoding.icc_profiles import ADOBE_RGB, by_code_points, by_gamma

_NAME = 40  # characters of a profile's name in a note
_CHANNELS = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(image: Image.Image, file_format: str | None, content: bytes) -> tuple[Image.Image, str | None]:
    """Return an image in sRGB, and what was done, if anything; a broken profile is noted and ignored."""
    profile = _profile(image, file_format, content)
    if profile is None:
        return image, None
    try:
        name, space, harmless = _examined(profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, "broken colour profile ignored"
    if harmless:
        return image, None
    colours, alpha = _separated(image)
    if space != colours.mode:
        return image, "colour profile of another kind ignored"
    try:
        done = ImageCms.applyTransform(colours, _transform(profile, space))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, "broken colour profile ignored"
    if done is None:
        return image, "broken colour profile ignored"
    if space == "L":
        done = done.getchannel("G")
    if alpha is not None:
        done.putalpha(alpha)
    return done, f"colours from {name} to sRGB"


def _separated(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return an image's colours as L, RGB or CMYK, and its alpha if it has any."""
    if image.mode in ("L", "RGB", "CMYK") and "transparency" not in image.info:
        return image, None
    if image.mode == "1":
        return image.convert("L"), None
    if image.mode in ("LA", "La"):
        plain = image.convert("LA")
        return plain.getchannel("L"), plain.getchannel("A")
    if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    return image.convert("RGB"), None


def _profile(image: Image.Image, file_format: str | None, content: bytes) -> bytes | None:
    """Return the ICC profile of an image's colours, made up where other metadata says it; None: sRGB."""
    chunks = _png_chunks(content) if file_format == "PNG" else {}
    if code := chunks.get(b"cICP"):
        return by_code_points(code[0], code[1]) if len(code) >= 4 else None
    if profile := image.info.get("icc_profile"):
        return bytes(profile)
    if b"gAMA" in chunks and b"sRGB" not in chunks:
        return by_gamma(chunks[b"gAMA"], chunks.get(b"cHRM"))
    if file_format in ("HEIF", "AVIF"):
        return _nclx(image, content)
    return ADOBE_RGB if file_format in ("JPEG", "MPO", "TIFF") and _says_adobe_rgb(image) else None


def _png_chunks(content: bytes) -> dict[bytes, bytes]:
    chunks: dict[bytes, bytes] = {}
    offset = 8
    while offset + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, offset)
        if name == b"IDAT":
            break
        if name in (b"cICP", b"gAMA", b"cHRM", b"sRGB"):
            chunks[name] = content[offset + 8 : offset + 8 + length]
        offset += 12 + length
    return chunks


def _nclx(image: Image.Image, content: bytes) -> bytes | None:
    """Read the code points of a HEIC or AVIF file (ISO/IEC 23091-2)."""
    profile: Any = image.info.get("nclx_profile")
    if isinstance(profile, dict) and "color_primaries" in profile:
        return by_code_points(int(profile["color_primaries"]), int(profile["transfer_characteristics"]))
    offset = content.find(b"colrnclx", 0, 65536)
    if offset < 0:
        return None
    primaries, transfer = struct.unpack_from(">HH", content, offset + 8)
    return by_code_points(primaries, transfer)


def _says_adobe_rgb(image: Image.Image) -> bool:
    """Say whether a camera's EXIF calls the colours Adobe RGB, which then often have no profile (DCF 2.0)."""
    if b"R03" not in image.info.get("exif", b""):
        return False
    try:
        return str(image.getexif().get_ifd(0xA005).get(1, "")).startswith("R03")
    except Exception:  # a broken EXIF block says nothing about the pixels
        return False


@lru_cache(maxsize=64)
def _examined(profile: bytes) -> tuple[str, str, bool]:
    """Return a profile's name, the mode of its pixels, and whether it is sRGB to within a level."""
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = _CHANNELS.get(opened.profile.xcolor_space.strip(), opened.profile.xcolor_space.strip())
    description = (opened.profile.profile_description or "").strip()
    name = re.sub(r"[^\w .()+-]|_", " ", description)[:_NAME].strip() or "a profile without a name"
    if space not in _CHANNELS.values():
        return name, space, False
    if space == "CMYK":
        return name, space, False
    levels = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(18, -1, 3) if space == "RGB" else None
    probe = Image.fromarray(np.arange(256, dtype=np.uint8)[None] if grid is None else grid)
    done = ImageCms.applyTransform(probe, _transform(profile, space))
    if done is None:
        raise ValueError("no transform")
    before = np.asarray(probe.convert("RGB")).astype(int)
    return name, space, bool(np.abs(np.asarray(done) - before).max() <= 1)


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(opened, _srgb(), mode, "RGB", ImageCms.Intent.PERCEPTUAL)


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
