"""Credentials: trusted, forged, altered, moved to another picture; and never a word to the network."""

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from gan import xmp
from gan.data import images
from gan.provenance import certificates, keys
from gan.provenance.credentials import Checker, Credentials, Stamp
from tests.provenance.pictures import FACTS, MODEL, PIXELS, PNG, chain_for


@pytest.fixture(scope="module")
def signer() -> keys.Signer:
    return keys.Signer(Path("key"), Path("chain"), *certificates.issue())


@pytest.fixture(scope="module")
def signed(signer: keys.Signer) -> bytes:
    return Stamp(signer).sign(PNG, "image/png", "00003.png", FACTS)


@pytest.fixture(scope="module")
def checker(signer: keys.Signer) -> Checker:
    return Checker([certificates.root(signer.certificates)])


def check(checker: Checker, content: bytes, mime: str = "image/png") -> Credentials:
    credentials = checker.read(content, mime)
    assert credentials is not None
    return credentials


def test_a_signed_picture_is_trusted_and_says_all(checker: Checker, signed: bytes) -> None:
    credentials = check(checker, signed)
    assert (credentials.state, credentials.detail, credentials.model) == ("trusted", "", MODEL)
    assert credentials.source_type == "trainedAlgorithmicMedia"
    assert credentials.facts == FACTS
    assert credentials.signer == "ganflow, a local signer of ganflow"
    manifest = c2pa.Reader("image/png", io.BytesIO(signed)).get_active_manifest()
    (action,) = manifest["assertions"][0]["data"]["actions"]
    assert (action["action"], action["digitalSourceType"]) == ("c2pa.created", xmp.GENERATED)
    assert MODEL in action["description"]
    assert "time" not in manifest["signature_info"]
    assert len(signed) - len(PNG) < 5000  # no thumbnail
    assert checker.read(PNG, "image/png") is None


@pytest.mark.parametrize("kind", ["WEBP", "GIF"])
def test_animations_are_signed_too(signer: keys.Signer, checker: Checker, kind: str) -> None:
    frames = np.stack([PIXELS, PIXELS[:, ::-1]])
    content = images.animation_bytes(frames, MODEL, kind)  # type: ignore[arg-type]
    mime = f"image/{kind.lower()}"
    assert check(checker, Stamp(signer).sign(content, mime, "a", FACTS), mime).state == "trusted"


def test_the_same_manifest_by_another_key_of_the_same_name_is_untrusted(checker: Checker) -> None:
    forger = keys.Signer(Path("key"), Path("chain"), *certificates.issue())
    credentials = check(checker, Stamp(forger).sign(PNG, "image/png", "00003.png", FACTS))
    assert (credentials.state, credentials.model) == ("untrusted", MODEL)


def test_without_any_root_nobody_is_trusted(signed: bytes) -> None:
    assert check(Checker([]), signed).state == "untrusted"


def test_a_manifest_on_another_picture_counts_as_altered(checker: Checker, signed: bytes) -> None:
    def chunks(content: bytes) -> dict[bytes, bytes]:
        by_name, position = {}, 8
        while position < len(content):
            end = position + 12 + int.from_bytes(content[position : position + 4], "big")
            by_name[content[position + 4 : position + 8]] = content[position:end]
            position = end
        return by_name

    other = images.png_bytes(PIXELS[:, ::-1], MODEL)
    manifest = chunks(signed)[b"caBX"]
    header = 8 + len(chunks(other)[b"IHDR"])
    assert check(checker, other[:header] + manifest + other[header:]).state == "altered"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_byte_of_the_picture_passes(data: st.DataObject) -> None:
    signed, checker = _SIGNED
    start = signed.index(b"caBX") - 4
    credentials = range(start, start + 12 + int.from_bytes(signed[start : start + 4], "big"))
    offset = data.draw(st.integers(0, len(signed) - 1))
    changed = bytearray(signed)
    changed[offset] ^= data.draw(st.integers(1, 255))
    judged = checker.read(bytes(changed), "image/png")
    if judged is not None and judged.state == "trusted":
        # The boxes around the claim have bytes that mean nothing and that nobody signs.
        assert offset in credentials
        assert (judged.model, judged.facts) == (MODEL, FACTS)


def _sign_once() -> tuple[bytes, Checker]:
    signer = keys.Signer(Path("key"), Path("chain"), *certificates.issue())
    content = Stamp(signer).sign(PNG, "image/png", "a", FACTS)
    return content, Checker([certificates.root(signer.certificates)])


_SIGNED = _sign_once()


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that notes who asks it for what."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()


def test_a_manifest_elsewhere_is_not_fetched(
    signer: keys.Signer, checker: Checker, server: tuple[str, list[str]]
) -> None:
    address, asked = server
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, signer.certificates, signer.key, None)
    action = {"action": "c2pa.created", "digitalSourceType": xmp.GENERATED}
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [action]}}
    generator = [{"name": "other"}]
    builder = c2pa.Builder(json.dumps({"claim_generator_info": generator, "assertions": [actions]}))
    builder.set_no_embed()
    builder.set_remote_url(f"{address}/manifest.c2pa")
    content = io.BytesIO()
    builder.sign(c2pa.Signer.from_info(info), "image/png", io.BytesIO(PNG), content)
    credentials = check(checker, content.getvalue())
    assert (credentials.state, asked) == ("remote", [])
    assert f"{address}/manifest.c2pa" in credentials.detail
    with pytest.raises(c2pa.C2paError):  # the package's own way: it asks
        c2pa.Reader("image/png", io.BytesIO(content.getvalue()))
    assert asked == ["/manifest.c2pa"]


def test_nobody_is_asked_whether_a_certificate_was_withdrawn(server: tuple[str, list[str]]) -> None:
    address, asked = server
    secret = ec.generate_private_key(ec.SECP256R1())
    chain = chain_for(secret.public_key(), ocsp=f"{address}/ocsp")
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key = secret.private_bytes(encoding, form, serialization.NoEncryption())
    signed = Stamp(keys.Signer(Path("k"), Path("c"), key, chain)).sign(PNG, "image/png", "a", FACTS)
    root = certificates.root(chain)
    assert check(Checker([root]), signed).state == "trusted"
    assert asked == []
    asks = {"trust": {"trust_anchors": root.decode()}, "verify": {"ocsp_fetch": True}}
    c2pa.Reader("image/png", io.BytesIO(signed), context=c2pa.Context(c2pa.Settings.from_dict(asks)))
    assert asked  # so the address is one that would be asked
