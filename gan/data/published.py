"""Published data sets by torchvision's tables: its mirrors, its md5 sums, no unpacking."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gan.data.mirrors import Checksum, Way, bring, way, with_mirrors
from gan.data.network import Place
from gan.data.partial import Partial
from gan.data.sources import CELEBA_FILES, CIFAR_FILE, SOURCES, SVHN_FILES


def fetch_published(
    source: str, target: Path, downloads: Path, mirrors: Sequence[str], pinned: Sequence[Checksum]
) -> dict[str, str]:
    """Bring a known set's files into ``target``, from ``mirrors`` first; return each file's origin.

    ``pinned`` are checksums of the user's, for sets of one file. Raises UserError when nobody
    gives the bytes that are wanted.
    """
    advice = f"get {', '.join(SOURCES[source].files)} elsewhere and give their folder as data.source"
    place = Place(source, source, advice, downloads)
    origins = {}
    for name, md5, own in _table(source):
        checksums = [Checksum("md5", md5, "published is"), *pinned]
        bring(name, with_mirrors(mirrors, name, own), checksums, place).give(target / name)
        origins[name] = f"{source}: {name}, md5 {md5}"  # not the mirror: whichever answers, the same bytes
    return origins


def _table(source: str) -> Iterator[tuple[str, str, list[Way]]]:
    """Yield each file's name, md5 and own ways to get it, from the tables on torchvision's classes."""
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

    def receive(part: Partial) -> None:
        part.discard()
        download_file_from_google_drive(drive_id, part.path.parent, name)
        if not part.size():
            raise ConnectionError("nothing came")

    return f"https://drive.google.com/file/d/{drive_id}", receive
