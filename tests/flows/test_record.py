"""What of a record is shown to people."""

import pytest

from flows.record import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("https://user:secret@host/set.zip?token=secret", "https://host/set.zip"),
        ("ssh://user@host/folder", "ssh://host/folder"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("/photos/what?/a@b", "/photos/what?/a@b"),
        (0.0002, "0.0002"),
        (None, "None"),
    ],
)
def test_nothing_secret_of_an_address_is_shown(value: object, text: str) -> None:
    assert shown(value) == text
