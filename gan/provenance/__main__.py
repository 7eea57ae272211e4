"""Who made a picture: `python -m gan.provenance verify FILE…`; our own keys: `python -m gan.provenance keys`.

Exit status of verify, of several files the highest: 0 proven, 1 a file cannot be read, 3 not proven (it only
says so, only its pixels do, or nobody knows), 4 contradicted (altered, or signed by somebody unknown).
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from gan import command_options
from gan.errors import UserError
from gan.provenance import certificates, keys, origin
from gan.provenance.credentials import Checker
from gan.provenance.origin import Pixels, Verdict
from gan.stage import run

P_VALUE = 1e-4  # below this a mark counts as found


def main(arguments: argparse.Namespace | None = None) -> None:
    """Run the command line."""
    asked = arguments or command_options.parse(command_options.provenance, "python -m gan.provenance")
    do = {"verify": verify, "keys": show_keys}[asked.do]
    run("provenance", lambda: do(asked), lock=False, stage=False)


def verify(arguments: argparse.Namespace) -> None:
    """Print a verdict for each file; leave with the exit status."""
    checker = Checker(_anchors(arguments.trust))
    verdicts, pixels = [], {}
    for i, file in enumerate(arguments.file):
        verdict, image = _examine(file, checker)
        verdicts.append(verdict)
        if image is not None and verdict.status != origin.PROVEN:
            pixels[i] = image
    together = _look_for_mark(verdicts, pixels, arguments.mark_key)
    if arguments.json:
        files = [verdict.json() for verdict in verdicts]
        print(json.dumps({"files": files, "mark_of_all_unsigned": together}, indent=2))
    else:
        for verdict in verdicts:
            print(f"{origin.plain(verdict.file)}: {verdict.text}")
        if together is not None:
            print(f"the {len(pixels)} pictures without a good signature, together: {_describe(together)}")
    sys.stdout.flush()
    sys.exit(max(verdict.status for verdict in verdicts))


def _examine(file: Path, checker: Checker) -> tuple[Verdict, Pixels | None]:
    """Return the verdict on a file's metadata, and its pixels if it is an image."""
    try:
        if file.suffix == ".safetensors":
            return origin.judge_model(file), None
        picture = origin.open_picture(file, checker)
        return origin.judge(file, picture), picture.pixels
    except (UserError, OSError) as error:
        return origin.unreadable(file, error), None


def _look_for_mark(verdicts: list[Verdict], pixels: dict[int, Pixels], key_file: Path | None) -> float | None:
    """Add the mark to the verdicts on images that carry it; return the p-value over several images.

    None where there is one picture, or no key to look with.
    """
    file = keys.mark_file(key_file)
    if not pixels or not file.exists():
        return None
    from gan.provenance.mark import Mark

    mark = Mark(keys.mark_key(key_file))
    for i, image in pixels.items():
        p_value = mark.detect([image]).p_value
        if p_value < P_VALUE:
            verdicts[i] = origin.with_mark(verdicts[i], p_value, file)
    return mark.detect(list(pixels.values())).p_value if len(pixels) > 1 else None


def _describe(p_value: float) -> str:
    return f"{'the mark is in them' if p_value < P_VALUE else 'no mark of ours'} (p = {p_value:.1g})"


def _anchors(files: list[Path]) -> list[bytes]:
    """Return the certificates to trust: of the root of whoever signs here, and those that were named."""
    our_certificate = keys.certificate_file()
    trusted = [certificates.root(our_certificate.read_bytes())] if our_certificate.exists() else []
    for file in files:
        content = file.read_bytes()
        try:
            certificates.facts(content)
        except UserError as error:
            raise UserError(f"--trust {file}: {error}") from None
        trusted.append(content)
    return trusted


def show_keys(arguments: argparse.Namespace) -> None:
    """Print where the keys are and what their certificate says; never a key."""
    key, certificate, from_user = keys.signer_files()
    if arguments.root:
        if not certificate.exists():
            raise UserError(f"{certificate}: no such file; it is made with the first signature")
        print(certificates.root(certificate.read_bytes()).decode(), end="")
        return
    print(f"signing key    {key}{'' if from_user else ' (ours)'}{_state(key)}")
    print(f"certificate    {certificate}")
    if certificate.exists():
        facts = certificates.facts(certificate.read_bytes())
        print(f"  of           {facts.subject}")
        print(f"  SHA-256      {facts.fingerprint}")
        print(f"  valid until  {facts.until}{' (expired)' if facts.expired else ''}")
    file = keys.mark_file()
    print(f"mark's secret  {file}{_state(file)}")
    if file.exists() and not _state(file):
        print(f"  known as     {hashlib.sha256(keys.mark_key()).hexdigest()[:16]}")


def _state(key: Path) -> str:
    if not key.exists():
        return ", made with the first picture that needs it"
    try:
        keys.private(key)
    except UserError as error:
        return f"\n  NOT PRIVATE  {error}"
    return ""


if __name__ == "__main__":
    main()
