"""Signed content credentials: who vouches for a picture, which model made it, and whether it was altered.

The C2PA specification (c2pa.org), by the package `c2pa-python`. Nothing here asks the network: no
time-stamp server, no certificate status, no manifest that a picture names by address, no redirect.
Signatures differ from run to run, so they never enter an out of DVC's.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gan
from gan import xmp
from gan.errors import UserError, needs
from gan.provenance import certificates
from gan.provenance.keys import Signer

ASSERTION = "org.ganflow.model"  # our own facts in the manifest: model_sha256 and how to draw it again
_SILENT: dict[str, Any] = {
    "core": {"allowed_network_hosts": [], "allow_redirects": False},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True)
class Credentials:
    """What a picture's active manifest says, and how it stood up to checking.

    ``state``: trusted (unaltered, by a signer that we trust), untrusted (unaltered, by another), altered,
    broken (it cannot be read) or remote (it is said to be at ``detail``, where nobody looks).
    """

    state: str
    detail: str = ""
    signer: str = "an unnamed signer"
    model: str | None = None
    source_type: str | None = None
    facts: Mapping[str, Any] | None = None


def available() -> None:
    """Do nothing where pictures can be signed. Raises UserError where the package for it is missing."""
    with needs("c2pa-python", "export with --unsigned"):
        import c2pa  # noqa: F401


class Stamp:
    """Signs pictures with one key; raises UserError where the key or a package is not fit for it."""

    def __init__(self, signer: Signer) -> None:
        available()
        import c2pa

        where = f"{signer.key_file}, {signer.certificate_file}"
        name = certificates.algorithm(signer.key, signer.certificates, where)
        info = c2pa.C2paSignerInfo(
            c2pa.C2paSigningAlg[name],
            signer.certificates,
            signer.key,
            None,  # None: no time-stamp server
        )
        try:
            self._signer = c2pa.Signer.from_info(info)
        except c2pa.C2paError as error:
            raise UserError(f"{where}: not fit for signing ({error})") from None
        self._c2pa = c2pa
        self._context = c2pa.Context(c2pa.Settings.from_dict(_SILENT))
        self._where = where

    def sign(self, content: bytes, mime: str, title: str, facts: Mapping[str, Any]) -> bytes:
        """Return an encoded picture with its credentials.

        ``facts``: what to say of it, plain JSON, `model_sha256` among them. Raises UserError where the
        signer is not fit.
        """
        agent = {"name": "ganflow", "version": gan.__version__}
        action = {
            "action": "c2pa.created",
            "digitalSourceType": xmp.GENERATED,
            "softwareAgent": agent,
            "description": f"drawn from a generative adversarial network, model {facts['model_sha256']}",
        }
        manifest = {
            "claim_generator_info": [agent],
            "title": title,
            "format": mime,
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
                {"label": ASSERTION, "data": dict(facts)},
            ],
        }
        signed = io.BytesIO()
        try:
            builder = self._c2pa.Builder(json.dumps(manifest), context=self._context)
            builder.sign(self._signer, mime, io.BytesIO(content), signed)
        except self._c2pa.C2paError as error:
            raise UserError(f"{self._where}: signing {title} failed ({error})") from None
        return signed.getvalue()


class Checker:
    """Reads and checks the credentials of pictures.

    ``anchors``: certificates (PEM) of the roots that are trusted, and no others. Raises UserError where
    they cannot be read, or the package is missing.
    """

    def __init__(self, anchors: Sequence[bytes]) -> None:
        with needs("c2pa-python"):
            import c2pa
        trust = {"trust_config": "\n".join(certificates.USES)}
        if anchors:
            trust["trust_anchors"] = b"\n".join(anchors).decode()
        verify = {**_SILENT["verify"], "verify_trust": True}
        settings = {**_SILENT, "trust": trust, "verify": verify}
        try:
            self._context = c2pa.Context(c2pa.Settings.from_dict(settings))
        except c2pa.C2paError as error:
            raise UserError(f"the certificates to trust: {error}") from None
        self._c2pa = c2pa

    def read(self, content: bytes, mime: str) -> Credentials | None:
        """Return what the credentials of an encoded picture are worth; None where it has none."""
        errors = self._c2pa.C2paError
        try:
            with self._c2pa.Reader(mime, io.BytesIO(content), context=self._context) as reader:
                return _judge(reader)
        except errors.ManifestNotFound:
            return None
        except (errors, KeyError, ValueError, TypeError, AttributeError) as error:
            # The package has no type for a manifest elsewhere. Other than C2paError: one of hostile shape.
            message = _short(error)
            return Credentials("remote" if message.startswith("Remote") else "broken", message)


def _judge(reader: Any) -> Credentials:
    manifest = reader.get_active_manifest() or {}
    results = (reader.get_validation_results() or {}).get("activeManifest") or {}
    failures = [str(failure.get("code")) for failure in results.get("failure") or []]
    # Who signed is another question than whether the picture is what was signed.
    faults = [code for code in failures if not code.startswith("signingCredential.")]
    state = "altered" if faults else "untrusted"
    if not failures and reader.get_validation_state() == "Trusted":
        state = "trusted"
    detail = faults or [code for code in failures if code != "signingCredential.untrusted"]
    signature = manifest.get("signature_info") or {}
    names = [str(signature[key]) for key in ("common_name", "issuer") if signature.get(key)]
    facts, source_type = _assertions(manifest)
    model = facts.get("model_sha256")
    return Credentials(
        state,
        ", ".join(dict.fromkeys(detail)),
        " of ".join(dict.fromkeys(names)) or "an unnamed signer",
        model if isinstance(model, str) else None,
        source_type,
        facts,
    )


def _assertions(manifest: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """Return our own assertion, and the source type of the first action that has one."""
    facts: Mapping[str, Any] = {}
    source_type = None
    for assertion in manifest.get("assertions") or []:
        label, data = str(assertion.get("label")), assertion.get("data")
        if not isinstance(data, dict):
            continue
        if label == ASSERTION:
            facts = data
        elif label.startswith("c2pa.actions"):
            kinds = (action.get("digitalSourceType") for action in data.get("actions") or [])
            source_type = next((str(kind) for kind in kinds if kind), source_type)
    return facts, source_type and source_type.rpartition("/")[2]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
