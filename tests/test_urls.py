"""What of an address is shown to people."""

import pytest

from gan.urls import is_address, redacted, redacted_error, redacted_values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("https://user:secret@host/set.zip?token=secret", "https://host/set.zip"),
        ("https://host/x.zip#sig=secret", "https://host/x.zip"),
        ("https://host/x.zip?a=1&token=secret#secret", "https://host/x.zip"),
        ("https://host?token=secret", "https://host"),
        ("https://secret@host:8080/x.zip", "https://host:8080/x.zip"),
        ("https://user:secret@[::1]:8080/x.zip", "https://[::1]:8080/x.zip"),
        ("https://user:se@cret@host/x.zip", "https://host/x.zip"),
        ("https://user:p/secret@host/x.zip", "https://host/x.zip"),
        ("https://user:p#secret@host/x.zip", "https://host/x.zip"),
        ("https://user:p?secret@host/x.zip?token=secret", "https://host/x.zip"),
        ("https://user:p/sec@ret@host/x.zip", "https://…"),
        ("https://user:p/secret@host/x.zip?mail=a@secret", "https://…"),
        ("https://host:8080/model@v1.zip", "https://host:8080/model@v1.zip"),
        ("https://host/model@v1.zip?token=secret", "https://host/model@v1.zip"),
        ("S3+HTTP://key:secret@bucket/key", "S3+HTTP://bucket/key"),
        ("ssh://user@host/folder", "ssh://host/folder"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("file:///photos/a@b", "file:///photos/a@b"),
        ("/photos/what?/a@b", "/photos/what?/a@b"),
        (
            "no https://user:pass@host:8/a/b.zip?token=secret and s3://key@bucket/x",
            "no https://host:8/a/b.zip and s3://bucket/x",
        ),
        (0.0002, "0.0002"),
        (None, "None"),
    ],
)
def test_nothing_secret_of_an_address_is_shown(value: object, text: str) -> None:
    assert "secret" not in text
    assert redacted(value) == text
    assert redacted(text) == text


def test_errors_quote_addresses_without_their_host() -> None:
    message = "404 for url: /set.zip?token=secret (https://host/x#sig=secret)"
    assert redacted_error(message) == "404 for url: /set.zip (https://host/x"


def test_plain_data_keeps_its_shape() -> None:
    params = {"source": "https://a:b@c/d", "mirrors": ("s3://k@b/x",), "sha256": None, "size": 32}
    data = {"source": "https://c/d", "mirrors": ["s3://b/x"], "sha256": None, "size": 32}
    assert redacted_values(params) == data


def test_an_address_begins_with_its_scheme() -> None:
    assert is_address("https://host/a") and is_address("S3://bucket")
    assert not any(map(is_address, ("photos", "/photos", "C:/photos", "", "see https://host/a")))
