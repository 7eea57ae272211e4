"""What file names and first bytes say: images, names that cannot be printed."""

from posixpath import splitext

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
OTHER_SUFFIXES = (".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff")
NETPBM_SUFFIXES = (".ppm", ".pgm", ".pbm", ".pnm")
HEIF_SUFFIXES = (".heic", ".heif", ".avif")
IMAGE_SUFFIXES = frozenset(JPEG_SUFFIXES + OTHER_SUFFIXES + NETPBM_SUFFIXES + HEIF_SUFFIXES)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
LFS_POINTER = "a Git LFS pointer, not the file; run `git lfs pull` where it comes from"
HEAD = 16  # first bytes that tell an image
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")


def has_image_name(path: str) -> bool:
    """Say whether the file's extension is an image's."""
    return splitext(path)[1].lower() in IMAGE_SUFFIXES


def has_image_magic(head: bytes) -> bool:
    """Say whether a file begins as an image does; ``head`` is its first ``HEAD`` bytes."""
    if head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    if is_heif(head):
        return True
    bitmap = head[:2] == b"BM" and head[6:10] == bytes(4)  # four reserved bytes: "BMW" is no bitmap
    return bitmap or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace())


def is_lfs_pointer(head: bytes) -> bool:
    """Say whether a file begins as what git keeps in place of a large one does."""
    return head.startswith(b"version https://git-lfs.github.com/spec/")


def is_heif(head: bytes) -> bool:
    """Say whether a file begins as HEIC or AVIF do."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def printable(name: str) -> str:
    """Give a file name as valid Unicode: bytes that are no UTF-8 become ``\\udcXX`` escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
