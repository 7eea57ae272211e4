"""Certificates: creating a root and a signer, and reading a certificate.

As the C2PA specification 2.2, section 14.5, asks: the signer is not the root, may make digital
signatures and nothing else, and has an extended key usage. Needs the package `cryptography`.
"""

import datetime
from dataclasses import dataclass
from typing import Any

from gan.errors import UserError, needs

YEARS = 10  # no time-stamp server vouches for when an image was signed: it counts as long as the certificate
NAME = "ganflow, a local signer"
# What a signer may be for: e-mail protection, document signing (RFC 9336), C2PA claim signing.
USES = ("1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1")
ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True)
class Facts:
    """What the first certificate of a chain says: subject, SHA-256 fingerprint, last day."""

    subject: str
    fingerprint: str
    until: str
    expired: bool


def issue(name: str = NAME) -> tuple[bytes, bytes]:
    """Return a new private key and its chain (signer, root), as PEM.

    The root's own key is discarded: it will never issue anything else.
    """
    with needs("cryptography"):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(common: str) -> Any:
        attributes = ((NameOID.ORGANIZATION_NAME, "ganflow"), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    now = datetime.datetime.now(datetime.UTC)
    issuer = named(f"{name}: root")

    def begun(subject: Any, public: Any) -> Any:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))  # other machines' clocks may be behind
            .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    root = (
        begun(issuer, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(x509, key_cert_sign=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = (
        begun(named(name), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(x509, digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(authority, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return secret, leaf.public_bytes(pem) + root.public_bytes(pem)


def _usage(x509: Any, **allowed: bool) -> Any:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    names += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def algorithm(key: bytes, certificates: bytes, where: str) -> str:
    """Return C2PA's name of the algorithm by which a key signs.

    Raises UserError that says ``where`` it is not such a key, or not the certificate's, or expired.
    """
    with needs("cryptography"):
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    try:
        secret = serialization.load_pem_private_key(key, password=None)
        leaf = x509.load_pem_x509_certificates(certificates)[0]
    except TypeError:
        raise UserError(
            f"{where}: the key has a passphrase; give a key without, in a file of mode 600"
        ) from None
    except (ValueError, IndexError) as error:
        raise UserError(f"{where}: not a PEM private key and PEM certificates ({error})") from None
    if secret.public_key() != leaf.public_key():
        raise UserError(f"{where}: the certificate is another key's")
    if (known := facts(certificates)).expired:
        raise UserError(f"{where}: the certificate was valid until {known.until}; get a new one")
    if isinstance(secret, ec.EllipticCurvePrivateKey) and secret.curve.name in ALGORITHMS:
        return ALGORITHMS[secret.curve.name]
    if isinstance(secret, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(secret, rsa.RSAPrivateKey) and secret.key_size >= 2048:
        return "PS256"
    raise UserError(f"{where}: C2PA signs with ECDSA (P-256, P-384, P-521), Ed25519 or RSA from 2048 bits")


def facts(certificates: bytes) -> Facts:
    """Return what the first of some PEM certificates says. Raises UserError where there is none."""
    with needs("cryptography"):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
    try:
        leaf = x509.load_pem_x509_certificates(certificates)[0]
    except (ValueError, IndexError) as error:
        raise UserError(f"not PEM certificates ({error})") from None
    until = leaf.not_valid_after_utc
    expired = until < datetime.datetime.now(datetime.UTC)
    fingerprint = leaf.fingerprint(hashes.SHA256()).hex()
    return Facts(leaf.subject.rfc4514_string(), fingerprint, f"{until:%Y-%m-%d}", expired)


def root(certificates: bytes) -> bytes:
    """Return the last certificate of a PEM chain, which vouches for the others."""
    begin = b"-----BEGIN CERTIFICATE-----"
    return begin + certificates.rpartition(begin)[2]
