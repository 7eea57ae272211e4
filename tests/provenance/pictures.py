"""Pictures and certificates to sign, check and forge with."""

import datetime
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from gan.data import images
from gan.provenance import certificates

MODEL = "0123456789abcdef" * 4
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
PNG = images.png_bytes(PIXELS, MODEL)
FACTS = {"model_sha256": MODEL, "seed": 0, "index": 3}


def chain_for(public: Any, *, days: int = 30, ocsp: str | None = None) -> bytes:
    """Issue a certificate of any key, valid for some days from a month ago on; return the chain."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> x509.Name:
        attributes = ((NameOID.ORGANIZATION_NAME, "test"), (NameOID.COMMON_NAME, text))
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])

    def begun(subject: str, key: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("root"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    root = begun("root", root_key.public_key()).add_extension(
        x509.BasicConstraints(True, None), critical=True
    )
    root = root.add_extension(certificates._usage(x509, key_cert_sign=True), critical=True)
    leaf = begun("signer", public).add_extension(x509.BasicConstraints(False, None), critical=True)
    leaf = leaf.add_extension(certificates._usage(x509, digital_signature=True), critical=True)
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    leaf = leaf.add_extension(uses, critical=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
    )
    if ocsp:
        asked = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp)
        )
        leaf = leaf.add_extension(x509.AuthorityInformationAccess([asked]), critical=False)
    pem = serialization.Encoding.PEM
    signed = [unsigned.sign(root_key, hashes.SHA256()).public_bytes(pem) for unsigned in (leaf, root)]
    return b"".join(signed)
