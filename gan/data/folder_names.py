"""The grammar of folder names: halves of a set, wrappers, shards, masks.

A name is cut into its letters and numbers (``seg_train`` → seg, train; ``trainA`` → train, a). It names
a half when exactly one of the tokens is a half's word, alone or with ``set``, ``data`` or ``images``
behind it (``trainset``), and everything else says nothing (a number, ``set``, ``seg``, ``img`` ...).
A name with other tokens (``asl_train``) does so only beside one of another half with the same others.
"""

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

Half = Literal["train", "test", "val", "unlabeled"]
TRAIN: Half = "train"
TEST: Half = "test"
VAL: Half = "val"
UNLABELED: Half = "unlabeled"

_WORDS: dict[str, Half] = {
    "testdev": TEST,
    **dict.fromkeys(("train", "training", "trn", "trainval"), TRAIN),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation"), VAL),
    **dict.fromkeys(("unlabeled", "unlabelled", "unsup", "unsupervised", "pred", "prediction"), UNLABELED),
}
_JOINED = (
    ("train", "val"),
    ("hold", "out"),
    ("held", "out"),
    ("test", "dev"),
    ("un", "labeled"),
    ("un", "labelled"),
)
_TAILS = ("set", "sets", "data", "dataset", "images", "imgs", "image", "img", "folder", "split")
_SILENT = frozenset(
    (*_TAILS, "seg", "segmentation", "pictures", "photos", "pics", "jpg", "jpeg", "png", "files", "file")
) | {
    "the",
    "my",
    "of",
    "all",
    "full",
    "raw",
    "orig",
    "original",
    "originals",
    "final",
    "mini",
    "small",
    "large",
}
_WRAPPERS = frozenset(("images", "image", "imgs", "img", "pictures", "photos", "pics", "jpegimages")) | {
    *("data", "dataset", "datasets", "raw", "all", "files", "original", "originals", "jpg", "jpeg", "png"),
    *("frames", "archive", "input", "inputs", "full", "extracted", "content", "class", "classes", "rgb"),
}
_MASKS = frozenset(("mask", "masks", "label", "labels", "annotation", "annotations", "annots")) | {
    *("groundtruth", "gt", "segmentations", "segmentationclass", "segmentationobject", "trimaps"),
    *("labelids", "depth", "edges"),
}
_SHARD_WORDS = frozenset(
    ("part", "parts", "shard", "shards", "chunk", "chunks", "batch", "piece", "volume", "vol")
) | {"images", "imgs", "image", "data", "tar"}
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Named(NamedTuple):
    """A folder's name as a half: which, its A/B domain if any, and the tokens that say something else."""

    half: Half
    domain: str | None
    others: tuple[str, ...]


def named_half(name: str) -> Named | None:
    """Read a name as that of a half; None where no token, or more than one, is a half's word."""
    tokens = _tokens(name)
    halves = [(index, half) for index, token in enumerate(tokens) if (half := _half(token))]
    if len(halves) != 1:
        return None
    index, half = halves[0]
    others = [token for token in tokens[:index] + tokens[index + 1 :] if not _silent(token)]
    domain = None
    if tokens[index + 1 :] in (["a"], ["b"]):
        domain, others = tokens[-1].upper(), others[:-1]
    return Named(half, domain, tuple(others))


def halves_beside(names: Collection[str]) -> dict[str, Named]:
    """Return which of a folder's subfolders are halves.

    Two different halves, or one alone without any other folder beside it, are; a lone ``train`` among
    ``bus`` and ``plane`` is a class.
    """
    read = {name: named for name in names if (named := named_half(name))}
    groups: dict[tuple[str, ...], dict[str, Named]] = {}
    for name, named in read.items():
        groups.setdefault(named.others, {})[name] = named
    plain = groups.pop((), {})
    pairs = [group for group in groups.values() if len({named.half for named in group.values()}) > 1]
    if len({named.half for named in plain.values()}) > 1:
        return {**plain, **{name: named for group in pairs for name, named in group.items()}}
    if len(pairs) == 1:
        return {**plain, **pairs[0]}
    return plain if plain and len(plain) == len(names) else {}


def is_half(name: str) -> bool:
    """Say whether a name can hardly be anything but a half's."""
    named = named_half(name)
    return named is not None and not named.others


def is_wrapper(name: str, half: str | None = None) -> bool:
    """Say whether a folder's name says nothing of its content; ``half``: the half it lies in, if any."""
    tokens = _tokens(name)
    named = named_half(name)
    if half is not None and named is not None and named.half == half:
        return True
    return "".join(tokens) in _WRAPPERS or (bool(tokens) and all(map(_silent, tokens)) and not name.isdigit())


def is_mask(name: str) -> bool:
    """Say whether a folder's name is one for masks and the like, pictures that belong to pictures."""
    return "".join(_tokens(name)) in _MASKS


def is_shard(name: str) -> bool:
    """Say whether a name is a word for a piece of a set and a number: ``part-3``, ``images_001``."""
    tokens = _tokens(name)
    return len(tokens) == 2 and tokens[0] in _SHARD_WORDS and tokens[1].isdigit()


def is_serial(name: str) -> bool:
    """Say whether a name is a long number, as those of shards are: ``00000``."""
    return name.isdecimal() and (len(name) >= 5 or (len(name) == 4 and name[0] == "0"))


def _tokens(name: str) -> list[str]:
    tokens = [token.lower() for token in _TOKEN.findall(_CAMEL.sub("_", name))]
    for first, second in _JOINED:
        for index in range(len(tokens) - 1):
            if tokens[index : index + 2] == [first, second]:
                tokens[index : index + 2] = [first + second]
    return tokens


def _half(token: str) -> Half | None:
    for tail in ("", *_TAILS):
        if token.endswith(tail) and (half := _WORDS.get(token.removesuffix(tail) if tail else token)):
            return half
    return None


def _silent(token: str) -> bool:
    return token.isdigit() or token in _SILENT
