"""Published data sets, from the addresses and MD5 sums in torchvision; nothing is unpacked."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gan.data.datasets import CELEBA_FILES, CIFAR_FILE, SOURCES, SVHN_FILES
from gan.download.mirrors import Checksum, Way, bring, way, with_mirrors
from gan.download.partial_files import Partial
from gan.download.retry import Request
from gan.errors import UserError


def fetch_published(
    source: str, target: Path, downloads: Path, mirrors: Sequence[str], pinned: Sequence[Checksum]
) -> dict[str, str]:
    """Bring a known set's files into ``target``, from ``mirrors`` first; return each file's origin.

    ``pinned``: the user's checksums, for sets of one file. Raises UserError if no mirror delivers the
    expected bytes.
    """
    advice = f"get {', '.join(SOURCES[source].files)} elsewhere and give their folder as data.source"
    request = Request(source, source, advice, downloads)
    origins = {}
    for name, md5, direct in _table(source):
        checksums = [Checksum("md5", md5, "published is"), *pinned]
        bring(name, with_mirrors(mirrors, name, direct), checksums, request).give(target / name)
        origins[name] = f"{source}: {name}, md5 {md5}"  # not the mirror: whichever answers, the same bytes
    return origins


def _table(source: str) -> Iterator[tuple[str, str, list[Way]]]:
    """Yield each file's name, MD5 and original ways to get it, from torchvision's tables."""
    from torchvision import datasets  # costs seconds and needs torch: only here

    if source == "cifar10":
        cifar = datasets.CIFAR10
        yield CIFAR_FILE, cifar.tgz_md5, [way(cifar.url, CIFAR_FILE)]
    elif source == "svhn":
        for url, name, md5 in datasets.SVHN.split_list.values():
            if name in SVHN_FILES:
                yield name, md5, [way(url, name)]
    elif source == "celeba":
        for drive_id, md5, name in datasets.CelebA.file_list:
            if name in CELEBA_FILES:
                yield name, md5, [_by_drive(drive_id, name)]
    else:
        tables = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
        for name, md5 in tables[source].resources:
            yield name, md5, [way(mirror + name, name) for mirror in tables[source].mirrors]


def _by_drive(drive_id: str, name: str) -> Way:
    from torchvision.datasets.utils import download_file_from_google_drive

    def receive(partial_file: Partial) -> None:
        partial_file.discard()
        try:
            download_file_from_google_drive(drive_id, partial_file.path.parent, name)
        except RuntimeError as error:
            if not isinstance(error.__cause__ or error.__context__, ModuleNotFoundError):
                raise
            raise UserError(
                "data.source: celeba: needs the package gdown; `pip install gdown`, or get the files "
                "elsewhere and give their folder"
            ) from None
        if not partial_file.size():
            raise ConnectionError("nothing came")

    return f"https://drive.google.com/file/d/{drive_id}", receive
