"""Published data sets through torchvision's download code: its mirrors, its md5 sums, no unpacking."""

from collections.abc import Callable, Iterator
from pathlib import Path

from gan.data.network import downloading
from gan.data.sources import CELEBA_FILES, CIFAR_FILE, SOURCES, SVHN_FILES
from gan.errors import Unreachable, UserError

Way = tuple[str, Callable[[Path], None]]  # an address, and what downloads from it into a folder


def fetch_published(source: str, target: Path) -> dict[str, str]:
    """Download a known set's files into ``target``, trying each mirror; return each file's origin.

    Raises UserError when no mirror gives the bytes whose md5 torchvision knows.
    """
    advice = f"get {', '.join(SOURCES[source].files)} elsewhere and give their folder as data.source"
    origins = {}
    for name, md5, ways in _table(source):
        _first_that_works(source, name, ways, advice, target)
        origins[name] = f"{source}: {name}, md5 {md5}"  # not the mirror: whichever answers, the same bytes
    return origins


def _first_that_works(source: str, name: str, ways: list[Way], advice: str, target: Path) -> None:
    failures: list[UserError] = []
    for address, download in ways:
        try:
            with downloading(source, address, advice, target):
                download(target)
            return
        except UserError as error:
            (target / name).unlink(missing_ok=True)
            failures.append(error)
    raise next((failure for failure in failures if isinstance(failure, Unreachable)), failures[0])


def _table(source: str) -> Iterator[tuple[str, str, list[Way]]]:
    """Yield each file's name, md5 and ways to get it, from the tables on torchvision's classes."""
    from torchvision import datasets  # costs seconds and needs torch: only here

    if source == "cifar10":
        cifar = datasets.CIFAR10
        yield CIFAR_FILE, cifar.tgz_md5, [_by_url(cifar.url, CIFAR_FILE, cifar.tgz_md5)]
    elif source == "svhn":
        for url, name, md5 in datasets.SVHN.split_list.values():
            if name in SVHN_FILES:
                yield name, md5, [_by_url(url, name, md5)]
    elif source == "celeba":
        for drive_id, md5, name in datasets.CelebA.file_list:
            if name in CELEBA_FILES:
                yield name, md5, [_by_drive(drive_id, name, md5)]
    else:
        tables = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}
        for name, md5 in tables[source].resources:
            yield name, md5, [_by_url(mirror + name, name, md5) for mirror in tables[source].mirrors]


def _by_url(url: str, name: str, md5: str) -> Way:
    from torchvision.datasets.utils import download_url

    return url, lambda folder: download_url(url, folder, name, md5)


def _by_drive(drive_id: str, name: str, md5: str) -> Way:
    from torchvision.datasets.utils import download_file_from_google_drive

    address = f"https://drive.google.com/file/d/{drive_id}"
    return address, lambda folder: download_file_from_google_drive(drive_id, folder, name, md5)
