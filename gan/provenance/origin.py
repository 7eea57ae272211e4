"""The verdict on a file: who made it, whether it was altered, or that it is unknown.

What is proven, what is only claimed and what is unknown are kept apart. A file without any sign of ours
is not thereby real: signs can be removed, and other people's generators leave others or none.
"""

import io
import re
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan import xmp
from gan.errors import UserError
from gan.files import sha256_file
from gan.provenance import credentials

PROVEN, UNREADABLE, NOT_PROVEN, CONTRADICTED = 0, 1, 3, 4  # the exit status; of several files the highest
KINDS = {
    "PNG": re.compile(rb"\x89PNG\r\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
}
MOST_BYTES = 200_000_000
Pixels = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one file: a kind, its exit status, one line, and the model if one is named.

    Kinds: signed, untrusted, altered, broken, remote, claimed, marked, unknown, model, unreadable.
    """

    file: str
    kind: str
    status: int
    text: str
    model: str | None = None
    signer: str | None = None
    p_value: float | None = None

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Picture:
    """An image file's content: credentials if any, the claim in its metadata, pixels (C, H, W) uint8.

    ``damage``: why there are no pixels.
    """

    credentials: credentials.Credentials | None
    claim: xmp.Claim
    pixels: Pixels | None
    damage: str = ""


def open_picture(path: Path, checker: credentials.Checker) -> Picture:
    """Read a picture; the first frame of an animation. Raises UserError where it is none, or too large."""
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"larger than {MOST_BYTES // 10**6} MB")
    content = path.read_bytes()
    kind = next((kind for kind, begin in KINDS.items() if begin.match(content)), None)
    if kind is None:
        raise UserError(f"not a picture of a kind that is known here ({', '.join(KINDS)})")
    signed = checker.read(content, f"image/{kind.lower()}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=[kind]) as image:
                image.load()
                pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
                claim = _claim(image.info)
    except Exception as error:  # Pillow raises many kinds for damaged files
        return Picture(signed, xmp.Claim(None, None), None, _short(error))
    shaped = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return Picture(signed, claim, np.ascontiguousarray(shaped))


def _claim(info: dict[Any, Any]) -> xmp.Claim:
    """Read the XMP packet, from its own place or, in a GIF, from the comment."""
    for key in ("xmp", xmp.KEY, "comment"):
        packet = info.get(key)
        if packet:
            text = packet if isinstance(packet, str) else bytes(packet).decode("utf-8", "replace")
            claim = xmp.read(text)
            if claim.model or claim.source_type:
                return claim
    return xmp.Claim(None, None)


def judge(path: Path, picture: Picture) -> Verdict:
    """Return the verdict from an image's credentials and metadata, without the mark in the pixels.

    Raises UserError for a damaged picture of which its credentials say nothing either.
    """
    signed = picture.credentials
    name = str(path)
    if picture.damage and (signed is None or signed.state in ("broken", "remote")):
        raise UserError(f"a damaged picture ({picture.damage})")
    if signed is None:
        return _claimed(name, picture.claim)
    model = _hash(signed.model)
    made = f"made by model {model}" if model else f"source type {signed.source_type or 'not given'}"
    signer = signed.signer
    if signed.state == "trusted":
        text = f"{made}; signed by {signer}, whom we trust; unaltered since"
        return Verdict(name, "signed", PROVEN, plain(text), model, plain(signer))
    if signed.state == "untrusted":
        why = f"; {signed.detail}" if signed.detail else ""
        text = (
            f"signed by {signer}, whom nobody here vouches for{why}: what it says ({made}) may be forged, "
            "though nothing was altered since"
        )
        return Verdict(name, "untrusted", CONTRADICTED, plain(text), model, plain(signer))
    if signed.state == "altered":
        text = (
            f"ALTERED since it was signed ({signed.detail}): its credentials, by {signer}, say {made}, "
            "but they are of other bytes"
        )
        return Verdict(name, "altered", CONTRADICTED, plain(text), model, plain(signer))
    if signed.state == "remote":
        text = f"its credentials are elsewhere, and nobody here asks the network ({signed.detail})"
        return Verdict(name, "remote", NOT_PROVEN, plain(text))
    text = f"holds content credentials that cannot be read ({signed.detail}): damaged, or altered"
    return Verdict(name, "broken", CONTRADICTED, plain(text))


def _claimed(name: str, claim: xmp.Claim) -> Verdict:
    model = _hash(claim.model)
    if model is None and claim.source_type is None:
        text = (
            "does not know: no credentials, and nothing in its metadata; that does not make it a photograph"
        )
        return Verdict(name, "unknown", NOT_PROVEN, text)
    kind = "partly by" if claim.source_type == xmp.COMPOSITE.rpartition("/")[2] else "by"
    statement = f"it was made {kind} model {model}" if model else f"its source type is {claim.source_type}"
    text = f"says that {statement}; unsigned, and anyone can write that"
    return Verdict(name, "claimed", NOT_PROVEN, plain(text), model)


def judge_model(path: Path) -> Verdict:
    """Return what a model file records. Raises UserError if it is not a file of this project."""
    from gan.networks.model_file import load  # torch, which takes its time and pictures do without

    _, config = load(path)
    if not isinstance(config, dict):
        raise UserError("its metadata holds no configuration")
    model = sha256_file(path)
    network, packages = config.get("network") or {}, config.get("packages") or {}
    inventory = config.get("data_inventory_sha256")
    facts = [
        f"model {model}",
        str(network.get("architecture") or config.get("task") or "of unknown kind"),
        f"{config['images_seen']} images seen" if "images_seen" in config else "",
        f"classes {', '.join(map(str, config['classes'][:12]))}" if config.get("classes") else "",
        f"data inventory {inventory}" if inventory else "does not say what data it was made from",
        " ".join(f"{name} {version}" for name, version in sorted(packages.items())),
        "unsigned; `python -m flows.history --model FILE` finds the revision that recorded it",
    ]
    return Verdict(str(path), "model", PROVEN, plain("; ".join(filter(None, facts))), model)


def with_mark(verdict: Verdict, p_value: float, key: Path) -> Verdict:
    """Say that the mark of a key was found in a picture, besides what its metadata tell."""
    of = f"a mark is in its pixels (p = {p_value:.1g}): a model's pictures were marked with the key {key}"
    if verdict.kind != "unknown":
        return replace(verdict, text=f"{verdict.text}; {of}", p_value=p_value)
    text = f"nothing in its metadata, but {of}, and this is one of them or was made from one"
    return replace(verdict, kind="marked", text=text, p_value=p_value)


def unreadable(path: Path, error: Exception) -> Verdict:
    """Say that a file cannot be read, and why."""
    text = error.strerror or "" if isinstance(error, OSError) else str(error).removeprefix(f"{path}: ")
    return Verdict(str(path), "unreadable", UNREADABLE, plain(f"cannot be read: {text}"))


def plain(text: str) -> str:
    """Return text, partly from strangers, as one line without terminal control characters."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)[:2000]


def _hash(text: str | None) -> str | None:
    """Return a text that looks like a SHA-256, None for anything else."""
    whole = text is not None and len(text) == 64 and not set(text) - set("0123456789abcdef")
    return text if whole else None


def _short(error: Exception) -> str:
    return plain(" ".join(str(error).split()))[:150]
