"""One image file to pixels of one shape. Imports numpy and decoders only: worker processes import it.

An image that already has the right size comes through bit-equal to a direct decode.
"""

import hashlib
import io
import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gan.data.archive_members import Unreadable
from gan.data.file_names import HEAD, LFS_POINTER, has_image_magic, is_heif, is_lfs_pointer
from gan.prepare.decoding.colour import to_srgb
from gan.prepare.decoding.depth import Ranges, Unscaled, deep_values, scaled
from gan.prepare.decoding.jpeg_damage import has_zeros, lacks_scans, reason
from gan.prepare.decoding.pixels import flatten, reduced_luma, square

try:
    import simplejpeg
except ImportError:  # Pillow decodes the same pixels, more slowly
    simplejpeg = None
try:
    import pillow_heif
except ImportError:  # then such photos are refused, by name
    pillow_heif = None  # type: ignore[assignment]
else:
    pillow_heif.register_heif_opener(thumbnails=False)

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")
SMALLEST = 4  # pixels a side; less is an icon or a tracking pixel
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = range(2, 9)  # its values but for "upright"

Pixels = NDArray[np.uint8]
Facts = dict[str, Any]  # columns of the manifest


@dataclass(frozen=True)
class Shape:
    """What images are brought to, and the most pixels one may have."""

    size: int
    fit: Literal["center_crop", "pad", "stretch"]
    grey: bool  # bring colour images to one channel
    max_pixels: int
    keep_damaged: bool = False  # JPEGs with holes


@dataclass(frozen=True)
class Item:
    """An image of the source: file bytes or an array, or neither when it is refused already."""

    path: str
    content: bytes | Pixels | None
    refused: str | None = None
    split: str | None = None
    label: str | None = None


def prepare_image(
    content: bytes | Pixels, shape: Shape, facts: Facts, ranges: Ranges | None = None
) -> tuple[Pixels, Pixels | None]:
    """Bring a file's bytes, or an array (H, W) or (H, W, 3), to ``shape``.

    ``ranges``: what is black and white in samples of more than 8 bits; without it such an image
    raises Unscaled.

    Returns its pixels, (S, S) or (S, S, 3), and, unless these are the whole image, the upright
    image's grey, reduced (`reduced_luma`). Adds to ``facts`` as far as it gets: sha256 (of the
    file's or array's bytes), bytes, width, height, mode, format, note. Raises Unreadable with the
    reason to refuse it.
    """
    raw = content if isinstance(content, bytes) else content.tobytes()
    facts |= {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    if isinstance(content, bytes):
        pixels = _plain_jpeg(content, shape, facts)
    else:
        pixels, note = (content, None) if content.dtype == np.uint8 else scaled(content, None, ranges)
        if note:
            facts["note"] = note
        facts |= {"mode": "L" if pixels.ndim == 2 else "RGB", "format": "array"}
        facts |= {"width": pixels.shape[1], "height": pixels.shape[0]}
    right = pixels is not None and pixels.shape[:2] == (shape.size, shape.size)
    if pixels is not None and right and (pixels.ndim == 2 or not shape.grey):
        return pixels, None
    image = _decode(raw, shape, facts, ranges) if pixels is None else Image.fromarray(pixels)
    whole = image.size == (shape.size, shape.size)
    return square(image, shape.size, shape.fit, shape.grey), None if whole else reduced_luma(image)


def _plain_jpeg(content: bytes, shape: Shape, facts: Facts) -> Pixels | None:
    """Return a small JPEG that needs nothing but decoding, or None; the pixels are those of Pillow."""
    if simplejpeg is None or content[:3] != b"\xff\xd8\xff":
        return None
    # It may have to be turned, or hold several, or have colours of its own. Not any(): every JPEG comes here.
    if (
        b"Exif\0" in content
        or b"MPF\0" in content
        or b"Orientation" in content
        or b"ICC_PROFILE\0" in content
    ):
        return None
    with suppress(ValueError):  # anything unusual is for Pillow to judge
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
        if SMALLEST <= min(width, height) < 4 * shape.size and width * height <= shape.max_pixels:
            mode = {"Gray": "L", "YCbCr": "RGB"}[space] if space in ("Gray", "YCbCr") else None
            if mode:
                pixels, note = _strict_jpeg(content, mode, shape.keep_damaged)
                facts |= {"width": width, "height": height, "mode": mode, "format": "JPEG"}
                if note:
                    facts["note"] = note
                return pixels
    return None


def _strict_jpeg(
    content: bytes, mode: str, keep: bool, width: int = 0, height: int = 0
) -> tuple[Pixels, str | None]:
    """Decode a JPEG to (H, W) or (H, W, 3 or 4), at no less than so many pixels, and say if it has holes.

    Raises Unreadable when it has and is not to be kept, ValueError when it cannot be decoded at all.
    """
    space = "GRAY" if mode == "L" else mode
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(content, space, min_width=width, min_height=height)
        refused = "damaged" if lacks_scans(content) or has_zeros(content) else None
    except ValueError as warning:
        refused = reason(str(warning), content)
        pixels = simplejpeg.decode_jpeg(content, space, min_width=width, min_height=height, strict=False)
    if refused and not keep:
        raise Unreadable(refused)
    return (pixels[..., 0] if mode == "L" else pixels), "damaged but kept" if refused else None


def _decode(content: bytes, shape: Shape, facts: Facts, ranges: Ranges | None) -> Image.Image:
    """Return an "L" or "RGB" image, upright and opaque, filling in ``facts``. Raises Unreadable."""
    if not content:
        raise Unreadable("empty file")
    if is_lfs_pointer(content[:64]):
        raise Unreadable(LFS_POINTER)
    if not has_image_magic(content[:HEAD]):
        raise Unreadable("not an image")
    if is_heif(content[:HEAD]) and content[8:12] != b"avif" and pillow_heif is None:
        raise Unreadable("HEIC, convert it to JPEG or install pillow-heif")
    Image.MAX_IMAGE_PIXELS = shape.max_pixels  # for frames within a file; the file is checked below
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _load(content, shape, facts, ranges)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unreadable("too many pixels") from None
    except MemoryError:
        raise Unreadable("not enough memory") from None
    except (Unreadable, Unscaled):
        raise
    except Exception as error:  # damaged files raise nearly anything in a decoder
        raise Unreadable("truncated" if _is_cut_off(content, error) else "damaged") from None


def _load(content: bytes, shape: Shape, facts: Facts, ranges: Ranges | None) -> Image.Image:
    notes = []
    if content.startswith(b"\x89PNG"):
        _check_png(content)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        facts |= {"width": image.width, "height": image.height, "mode": image.mode, "format": image.format}
        if image.width * image.height > shape.max_pixels:
            raise Unreadable("too many pixels")
        if min(image.size) < SMALLEST:
            raise Unreadable("too small")
        # These are turned while loading: phones' photos by their decoder, TIFFs by Pillow.
        turned = image.info.get("original_orientation") in _TURNS
        if image.format == "TIFF":
            turned = _is_turned(image)
        if min(image.size) >= 4 * shape.size:
            image.draft(image.mode, (2 * shape.size, 2 * shape.size))  # large JPEGs: decode fewer pixels
        loaded, damage = _loaded(image, content, shape.keep_damaged)
        if damage:
            notes.append(damage)
        if deep := deep_values(loaded, content):
            pixels, note = scaled(*deep, ranges)
            notes.append(note)
            loaded = Image.fromarray(pixels)
            loaded.info = {name: value for name, value in image.info.items() if name != "transparency"}
        elif image.format == "PNG" and content[24] == 16:  # grey with alpha
            notes.append("16-bit reduced")
        upright = loaded
        if _is_turned(loaded):
            upright, turned = ImageOps.exif_transpose(loaded), True
        upright, coloured = to_srgb(upright, image.format, content)
        flat, flattened = flatten(upright)
        if flat is image:
            flat = image.copy()  # counting a TIFF's frames below would turn to its last one
        notes += ["rotated by EXIF"] * turned + [change for change in (coloured, flattened) if change]
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1  # MPO: a photo and its preview
        if frames > 1:
            notes.append(f"first frame of {frames}")
    facts["note"] = ", ".join(dict.fromkeys(notes)) or None
    return flat


def _loaded(image: Image.Image, content: bytes, keep: bool) -> tuple[Image.Image, str | None]:
    """Load an image's pixels; a JPEG's by a decoder that tells of holes. The pixels are the same."""
    if image.format not in ("JPEG", "MPO") or simplejpeg is None:
        image.load()
        return image, None
    note = None
    try:
        space = simplejpeg.decode_jpeg_header(content)[2]
        if space in ("Gray", "YCbCr"):
            pixels, note = _strict_jpeg(content, image.mode, keep, image.width, image.height)
            if pixels.shape[1::-1] == image.size:
                loaded = Image.fromarray(pixels)
                loaded.info = dict(image.info)  # where orientation and profile are looked for
                return loaded, note
        else:  # as small as can be: only to hear the warnings
            note = _strict_jpeg(content, "RGB" if space == "RGB" else "CMYK", keep, 1, 1)[1]
    except ValueError:  # Pillow judges what it cannot decode
        pass
    image.load()
    return image, note


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(_ORIENTATION) in _TURNS
    except Exception:  # a broken EXIF block says nothing about the pixels
        return False


def _check_png(content: bytes) -> None:
    """Raise Unreadable unless all chunks that matter are there and whole; Pillow skips their sums."""
    offset = 8
    while True:
        length, name = struct.unpack_from(">I4s", content, offset)  # raises at the end: cut off
        body = content[offset + 4 : offset + 8 + length]
        if len(body) < length + 4:
            raise Unreadable("truncated")
        (checksum,) = struct.unpack_from(">I", content, offset + 8 + length)
        if name[:1].isupper() and zlib.crc32(body) != checksum:
            raise Unreadable("damaged")
        if name == b"IEND":
            return
        offset += 12 + length


def _is_cut_off(content: bytes, error: Exception) -> bool:
    if content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content):
        return True
    return isinstance(error, EOFError | struct.error) or "runcated" in str(error)
