"""Images and archives that tests make: smooth random pictures, in any format, folder or archive."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan.data.archive_members import Limits

LIMITS = Limits(max_files=1000, max_file_bytes=10_000_000, max_bytes=100_000_000, max_ratio=200)
COMPRESSIONS = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz", "tar.bz2": "w:bz2"}


def picture(seed: int, size: tuple[int, int] = (40, 32), mode: str = "RGB") -> Image.Image:
    """Return a smooth picture, as photos are, so that no two seeds look alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def files(count: int = 6, pattern: str = "{0:03d}.png") -> dict[str, bytes]:
    return {pattern.format(seed): encoded(picture(seed)) for seed in range(count)}


def archive(path: Path, content: dict[str, bytes]) -> Path:
    """Write ``content`` (name: bytes) as the archive that the name of ``path`` calls for."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in content.items():
                file.writestr(name, data)
        return path
    with tarfile.open(path, COMPRESSIONS[path.name.partition(".")[2]]) as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def tar_with_link(path: Path, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Path:
    with tarfile.open(path, "w") as tar:
        for entry, data in files(2).items():
            info = tarfile.TarInfo(entry)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo(name)
        link.type, link.linkname = kind, target
        tar.addfile(link)
    return path


def zip_with_link(path: Path, name: str, target: str) -> Path:
    archive(path, files(2))
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o120777 << 16
        file.writestr(info, target)
    return path


def folder(path: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path
