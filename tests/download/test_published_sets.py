"""What published sets need besides torchvision."""

import sys
from pathlib import Path

import pytest

from gan.download.partial_files import Partial
from gan.download.published_sets import _by_drive
from gan.errors import UserError


def test_without_gdown_celeba_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    _, receive = _by_drive("id", "name")
    with pytest.raises(UserError, match=r"celeba: needs the package gdown; `pip install gdown`"):
        receive(Partial(tmp_path / "name"))
