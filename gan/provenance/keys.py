"""Keys: outside any repository, created on first use, readable only by their owner.

    $XDG_CONFIG_HOME/ganflow/ (else ~/.config/ganflow/)
      signing/key.pem          the private key that signs content credentials
      signing/certificate.pem  its certificate and the root's that issued it
      mark.key                 the secret of the mark in the pixels

Own ones instead: GANFLOW_SIGNING_KEY and GANFLOW_SIGNING_CERTIFICATE, GANFLOW_MARK_KEY, or the
commands' options.
"""

import os
import secrets
import shutil
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gan.errors import UserError
from gan.files import naming

KEY, CERTIFICATE, MARK = "GANFLOW_SIGNING_KEY", "GANFLOW_SIGNING_CERTIFICATE", "GANFLOW_MARK_KEY"
MARK_BYTES = 32


@dataclass(frozen=True)
class Signer:
    """A private key and the chain of certificates that goes with it, as PEM; the key is not shown."""

    key_file: Path
    certificate_file: Path
    key: bytes
    certificates: bytes

    def __repr__(self) -> str:
        """Name the files only: what is shown may end in a log."""
        return f"Signer({self.key_file}, {self.certificate_file})"


def folder() -> Path:
    """Return the folder of our keys, which may not be there yet; see the XDG base directory specification."""
    text = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(text) if Path(text).is_absolute() else Path.home() / ".config"
    return base / "ganflow"


def signer_files(key: Path | None = None, certificate: Path | None = None) -> tuple[Path, Path, bool]:
    """Return the files of the signing key and certificate, and whether they are the user's own.

    Raises UserError where only one of the two is given.
    """
    key, certificate = key or _named(KEY), certificate or _named(CERTIFICATE)
    if key and certificate:
        return key, certificate, True
    if key or certificate:
        raise UserError(
            f"{key or certificate}: a key and its certificate go together; give --key and "
            f"--certificate, or {KEY} and {CERTIFICATE}"
        )
    return folder() / "signing" / "key.pem", folder() / "signing" / "certificate.pem", False


def certificate_file() -> Path:
    """Return the file of the certificates of whoever signs here, which may not be there yet."""
    return _named(CERTIFICATE) or folder() / "signing" / "certificate.pem"


def signer(key: Path | None = None, certificate: Path | None = None) -> Signer:
    """Return the signer: the user's own or ours, made now where there is none.

    Raises UserError where a file is absent, or others may read the key.
    """
    key_file, certificate_file, from_user = signer_files(key, certificate)
    if not from_user and not key_file.exists():
        _make_signer(key_file.parent)
        _say_made(key_file, "signs your exports")
    private(key_file)
    return Signer(key_file, certificate_file, _read(key_file), _read(certificate_file))


def mark_file(path: Path | None = None) -> Path:
    """Return the file of the mark's secret."""
    return path or _named(MARK) or folder() / "mark.key"


def mark_key(path: Path | None = None) -> bytes:
    """Return the mark's secret, made now where there is none.

    Raises UserError where a file that the user named is absent or not such a secret, or others may read it.
    """
    file = mark_file(path)
    if file == folder() / "mark.key" and not file.exists():
        _own_folder()
        _write_new(file, secrets.token_hex(MARK_BYTES).encode() + b"\n")
        _say_made(file, "marks your exports; whoever has it can find or remove the mark")
    private(file)
    try:
        key = bytes.fromhex(_read(file).decode())
    except ValueError:
        key = b""
    if len(key) != MARK_BYTES:
        raise UserError(
            f"{file}: not a mark's key ({MARK_BYTES} bytes as {2 * MARK_BYTES} hexadecimal digits)"
        )
    return key


def private(path: Path) -> None:
    """Refuse a key that others than its owner may read or write. Raises UserError."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name the file of the key") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{path}: others may use this key (mode {stat.S_IMODE(mode):04o}); `chmod 600 {path}`"
        )


def _named(variable: str) -> Path | None:
    text = os.environ.get(variable)
    return Path(text).expanduser() if text else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _own_folder() -> Path:
    directory = folder()
    with naming(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UserError(f"{directory}: others may write to the folder of keys; `chmod 700 {directory}`")
    return directory


def _say_made(file: Path, purpose: str) -> None:
    print(f"note: {file} was made: it {purpose}. Keep a copy; share it with nobody.", file=sys.stderr)


def _make_signer(target: Path) -> None:
    """Make a root and a signer that it issues, in one folder that appears whole."""
    from gan.provenance.certificates import issue

    directory = _own_folder()
    key, certificates = issue()
    temporary = directory / f".signing.{secrets.token_hex(8)}.tmp"
    with naming(temporary):
        temporary.mkdir(mode=0o700)
        try:
            _write_new(temporary / "key.pem", key)
            _write_new(temporary / "certificate.pem", certificates)
            with suppress(OSError):  # another process was first: then that one's it is
                os.replace(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    if not (target / "key.pem").exists():
        raise UserError(f"{target}: holds no key.pem, and is in the way of a new one; move it away")


def _write_new(path: Path, content: bytes) -> None:
    """Write a secret under a name that it takes only whole, and only if no other process has taken it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with naming(path):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
