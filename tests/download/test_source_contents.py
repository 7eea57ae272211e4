"""The licence that a source states of itself."""

import lzma
import tarfile

import pytest

from gan.data.inventory import Contents
from gan.download.source_contents import look_into
from tests.data.image_files import archive, files, folder

MIT = b"SPDX-License-Identifier: MIT OR Apache-2.0\nPermission is hereby granted"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, None),
        ({"LICENSE": b"Do what you like"}, "see LICENSE"),
        ({"set/Licence.txt": MIT}, "MIT OR Apache-2.0 (as set/Licence.txt says)"),
        ({"deep/LICENSE": b"x", "README.md": MIT}, "MIT OR Apache-2.0 (as README.md says)"),
        ({"README.md": MIT, "COPYING": b"x"}, "see COPYING"),
        ({"README.md": b"A fine set", "licensed/notes.txt": MIT, ".git/LICENSE": b"x"}, None),
        ({"LICENSE-CC-BY": b"\xff" * 200_000}, "see LICENSE-CC-BY"),
        ({"licence.png": b"x"}, None),
    ],
)
def test_a_licence_is_quoted_by_name(tmp_path, kind, content, expected):
    content = {**files(2), **content}
    if kind == "folder":
        folder(tmp_path / "files", content)
        contents = look_into(tmp_path / "files", "folder", sorted(content))
    else:
        archive(tmp_path / f"x.{kind}", content)
        contents = look_into(tmp_path, "archive", [f"x.{kind}"])
    assert contents.licence == expected


def test_a_bomb_is_not_looked_into_to_its_end(tmp_path):
    with lzma.open(tmp_path / "bomb.tar.xz", "wb") as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        entry = tarfile.TarInfo("zeros.png")
        entry.size = 100_000_000
        tar.addfile(entry, open("/dev/zero", "rb"))  # noqa: SIM115
    assert look_into(tmp_path, "archive", ["bomb.tar.xz"]) == Contents()
