"""Tests that need a program which is not here: skipped, and named at the end with what installs it."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest

# What a test may need: the Debian packages that bring it.
PACKAGES = {
    "sshd": "openssh-server",
    "PostgreSQL": "postgresql",
    "Chromium": "chromium chromium-driver",
    "strace": "strace",
    "qemu-user": "qemu-user",
    "a C compiler": "gcc libc6-dev",
}
NEEDS = "needs "


def skip_without(program: str) -> NoReturn:
    """Skip the test that runs, since this one of `PACKAGES` is not installed."""
    assert program in PACKAGES
    pytest.skip(f"{NEEDS}{program}")


def skip_lines(reasons: Iterable[str]) -> list[str]:
    """Return what to say of skipped tests: a line on programs, a line on all else, or none."""
    counted = Counter(re.sub(r"^Skipped: ", "", reason) for reason in reasons)
    programs = {name: counted.pop(f"{NEEDS}{name}") for name in PACKAGES if f"{NEEDS}{name}" in counted}
    lines = []
    if programs:
        missing = ", ".join(f"{name} ({count})" for name, count in programs.items())
        install = " ".join(PACKAGES[name] for name in programs)
        lines.append(f"skipped for want of {missing}: `apt-get install {install}` brings them")
    if counted:
        rest = "; ".join(f"{reason} ({count})" for reason, count in counted.items())
        lines.append(f"skipped besides: {rest}")
    return lines
