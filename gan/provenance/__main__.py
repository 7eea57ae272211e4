"""Who made a picture: `python -m gan.provenance verify FILE…`; our own keys: `python -m gan.provenance keys`.

Exit status of verify, of several files the highest: 0 proven, 1 a file cannot be read, 3 not proven (it only
says so, only its pixels do, or nobody knows), 4 contradicted (altered, or signed by somebody unknown).
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from gan.command_line import Parser, path
from gan.errors import UserError
from gan.provenance import certificates, keys, verdict
from gan.provenance.credentials import Checker
from gan.provenance.verdict import Pixels, Verdict
from gan.stage import run

P_VALUE = 1e-4  # below this a mark counts as found


def main() -> None:
    """Do what the command line asks for."""
    arguments = _arguments()
    run("provenance", lambda: arguments.do(arguments), lock=False)


def verify(arguments: argparse.Namespace) -> None:
    """Print a verdict for each file; leave with the exit status."""
    checker = Checker(_anchors(arguments.trust))
    found, pixels = [], {}
    for i, file in enumerate(arguments.file):
        said, image = _examine(file, checker)
        found.append(said)
        if image is not None and said.status != verdict.PROVEN:
            pixels[i] = image
    together = _look_for_mark(found, pixels, arguments.mark_key)
    if arguments.json:
        files = [said.json() for said in found]
        print(json.dumps({"files": files, "mark_of_all_unsigned": together}, indent=2))
    else:
        for said in found:
            print(f"{verdict.plain(said.file)}: {said.text}")
        if together is not None:
            print(f"the {len(pixels)} pictures without a good signature, together: {_words(together)}")
    sys.stdout.flush()
    sys.exit(max(said.status for said in found))


def _examine(file: Path, checker: Checker) -> tuple[Verdict, Pixels | None]:
    """Return what a file says of itself, and its pixels if it is a picture."""
    try:
        if file.suffix == ".safetensors":
            return verdict.judge_model(file), None
        picture = verdict.open_picture(file, checker)
        return verdict.judge(file, picture), picture.pixels
    except (UserError, OSError) as error:
        return verdict.unreadable(file, error), None


def _look_for_mark(found: list[Verdict], pixels: dict[int, Pixels], key_file: Path | None) -> float | None:
    """Add a mark to the verdicts on these pictures where it is found; return its p-value over several.

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
            found[i] = verdict.with_mark(found[i], p_value, file)
    return mark.detect(list(pixels.values())).p_value if len(pixels) > 1 else None


def _words(p_value: float) -> str:
    return f"{'the mark is in them' if p_value < P_VALUE else 'no mark of ours'} (p = {p_value:.1g})"


def _anchors(files: list[Path]) -> list[bytes]:
    """Return the certificates to trust: of the root of whoever signs here, and those that were named."""
    own = keys.certificate_file()
    found = [certificates.root(own.read_bytes())] if own.exists() else []
    for file in files:
        content = file.read_bytes()
        try:
            certificates.facts(content)
        except UserError as error:
            raise UserError(f"--trust {file}: {error}") from None
        found.append(content)
    return found


def show_keys(arguments: argparse.Namespace) -> None:
    """Print where the keys are and what their certificate says; never a key."""
    key, certificate, own = keys.signer_files()
    if arguments.root:
        if not certificate.exists():
            raise UserError(f"{certificate}: no such file; it is made with the first signature")
        print(certificates.root(certificate.read_bytes()).decode(), end="")
        return
    print(f"signing key    {key}{'' if own else ' (ours)'}{_state(key)}")
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


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m gan.provenance", description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    asked = commands.add_parser("verify", help="say who made pictures, or what a model file carries")
    asked.add_argument("file", nargs="+", type=path, help="PNG, JPEG, WebP, GIF or .safetensors")
    asked.add_argument(
        "--trust", action="append", type=path, default=[], metavar="FILE", help="certificates of others, PEM"
    )
    asked.add_argument("--mark-key", type=path, metavar="FILE", help="the secret of the mark to look for")
    asked.add_argument("--json", action="store_true", help="the verdicts as JSON")
    asked.set_defaults(do=verify)
    shown = commands.add_parser("keys", help="say where our keys are, and what their certificate says")
    shown.add_argument("--root", action="store_true", help="print the certificate that others have to trust")
    shown.set_defaults(do=show_keys)
    return parser.parse_args()


if __name__ == "__main__":
    main()
