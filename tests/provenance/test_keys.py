"""Keys: made once, outside the checkout, for their owner alone; a user's own; what is refused."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gan.errors import UserError
from gan.provenance import certificates, keys
from gan.provenance.credentials import Checker, Stamp
from tests.provenance.pictures import FACTS, PNG, chain_for


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_made_on_first_use_and_then_kept(config_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.umask(0)
    try:
        first = keys.signer()
        secret = keys.mark_key()
    finally:
        os.umask(0o022)
    said = capsys.readouterr().err.splitlines()
    for line, name in zip(said, ("signing/key.pem", "mark.key"), strict=True):
        assert line.startswith(f"note: {config_home / 'ganflow' / name} was made")
    assert keys.signer() == first
    assert keys.mark_key() == secret
    assert capsys.readouterr().err == ""
    assert len(secret) == 32
    folder = config_home / "ganflow"
    assert {str(p.relative_to(folder)) for p in folder.rglob("*")} == {
        "signing",
        "signing/key.pem",
        "signing/certificate.pem",
        "mark.key",
    }
    assert mode(folder) == mode(folder / "signing") == 0o700
    assert mode(folder / "signing" / "key.pem") == mode(folder / "mark.key") == 0o600
    assert "PRIVATE" not in repr(first)


def test_a_relative_xdg_config_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value in ("", "config"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        assert keys.folder() == tmp_path / "home" / ".config" / "ganflow"


def _make(queue: "multiprocessing.Queue[tuple[bytes, bytes]]") -> None:
    queue.put((keys.signer().key, keys.mark_key()))


def test_two_processes_that_make_them_at_once_use_the_same() -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[tuple[bytes, bytes]] = context.Queue()
    processes = [context.Process(target=_make, args=(queue,)) for _ in range(6)]
    for process in processes:
        process.start()
    results = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(results) == 1
    assert not list(keys.folder().glob(".*"))


@pytest.mark.parametrize("wrong", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_use_is_refused(wrong: int) -> None:
    keys.signer()
    keys.mark_key()
    for file, use in (("signing/key.pem", keys.signer), ("mark.key", keys.mark_key)):
        path = keys.folder() / file
        path.chmod(wrong)
        with pytest.raises(
            UserError, match=f"{path.name}: others may use this key .mode 0{wrong:o}.; `chmod 600"
        ):
            use()


def test_a_folder_that_others_may_write_to_is_refused(config_home: Path) -> None:
    (config_home / "ganflow").mkdir(parents=True)
    (config_home / "ganflow").chmod(0o777)
    for use in (keys.signer, keys.mark_key):
        with pytest.raises(UserError, match="others may write to the folder of keys; `chmod 700"):
            use()


def make_own_signer(folder: Path, secret: bytes | None = None) -> tuple[Path, Path]:
    made, chain = certificates.issue("somebody else")
    folder.mkdir()
    (folder / "own.key").write_bytes(secret or made)
    (folder / "own.key").chmod(0o600)
    (folder / "own.pem").write_bytes(chain)
    return folder / "own.key", folder / "own.pem"


def test_a_users_own_key_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, chain = make_own_signer(tmp_path / "own")
    by_option = keys.signer(key, chain)
    monkeypatch.setenv(keys.KEY, str(key))
    monkeypatch.setenv(keys.CERTIFICATE, str(chain))
    assert keys.signer() == by_option
    assert keys.certificate_file() == chain
    assert not keys.folder().exists()
    signed = Stamp(by_option).sign(PNG, "image/png", "a", FACTS)
    credentials = Checker([certificates.root(chain.read_bytes())]).read(signed, "image/png")
    assert credentials is not None
    assert (credentials.state, credentials.signer) == ("trusted", "somebody else of ganflow")


def pem(secret: object, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return secret.private_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def test_what_is_no_key_for_it_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, chain = make_own_signer(tmp_path / "own")
    cases = {
        "another key's": pem(ec.generate_private_key(ec.SECP256R1())),
        "has a passphrase": pem(ec.generate_private_key(ec.SECP256R1()), b"word"),
        "not a PEM private key": b"nonsense",
    }
    for message, content in cases.items():
        key.write_bytes(content)
        with pytest.raises(UserError, match=f"own.key, .*own.pem: .*{message}"):
            Stamp(keys.signer(key, chain))
    with pytest.raises(UserError, match="go together"):
        keys.signer(key, None)
    monkeypatch.setenv(keys.CERTIFICATE, str(chain))
    with pytest.raises(UserError, match="go together"):
        keys.signer()
    with pytest.raises(UserError, match=r"nonesuch: No such file or directory; name the file"):
        keys.signer(tmp_path / "nonesuch", chain)
    for content in ("", "ab" * 31, "xy" * 32):
        key.write_text(content)
        with pytest.raises(UserError, match="not a mark's key"):
            keys.mark_key(key)


def test_every_kind_of_key_that_c2pa_knows(tmp_path: Path) -> None:
    for name, secret in {
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ED25519": ed25519.Ed25519PrivateKey.generate(),
        "PS256": rsa.generate_private_key(65537, 2048),
    }.items():
        chain = chain_for(secret.public_key())
        assert certificates.algorithm(pem(secret), chain, "here") == name
        signer = keys.Signer(tmp_path, tmp_path, pem(secret), chain)
        signed = Stamp(signer).sign(PNG, "image/png", "a", FACTS)
        credentials = Checker([certificates.root(chain)]).read(signed, "image/png")
        assert credentials is not None
        assert credentials.state == "trusted"
    weak = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(UserError, match="C2PA signs with"):
        certificates.algorithm(pem(weak), chain_for(weak.public_key()), "here")


def test_an_expired_certificate_is_refused_for_signing() -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    chain = chain_for(secret.public_key(), days=-1)
    with pytest.raises(UserError, match="valid until"):
        certificates.algorithm(pem(secret), chain, "here")
