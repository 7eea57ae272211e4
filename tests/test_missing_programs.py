"""Skips: one line that says what is missing and how to get it."""

import pytest

from tests.missing_programs import PACKAGES, skip_lines, skip_without


def test_each_program_is_named_once_with_its_packages() -> None:
    skipped = []
    for name in ("sshd", "sshd", "strace"):
        with pytest.raises(pytest.skip.Exception) as caught:
            skip_without(name)
        skipped.append(f"Skipped: {caught.value.msg}")
    (line,) = skip_lines(skipped)
    assert "sshd (2)" in line and "strace (1)" in line
    assert "`apt-get install openssh-server strace`" in line
    assert not any(package in line for package in (PACKAGES["PostgreSQL"], PACKAGES["Chromium"]))


def test_other_reasons_are_told_too() -> None:
    assert skip_lines([]) == []
    first, second = skip_lines(["Skipped: needs qemu-user", "Skipped: not a git checkout"])
    assert "qemu-user" in first and "not a git checkout (1)" in second
