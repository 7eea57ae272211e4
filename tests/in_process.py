"""A command in the test's own process, which has imported what is heavy already."""

import signal
import sys
from collections.abc import Callable, Sequence

import pytest


def printed_by(
    main: Callable[[], None],
    argv: Sequence[object],
    status: object,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> str:
    """Run ``main`` as `argv`; return what it printed, stderr included. It must end with ``status``."""
    capfd.readouterr()  # what was printed before
    exit_status: object = 0
    with monkeypatch.context() as context:
        context.setattr(sys, "argv", list(map(str, argv)))
        context.setattr(signal, "signal", lambda *_: None)
        try:
            main()
        except SystemExit as end:
            exit_status = end.code
    printed = "".join(capfd.readouterr())
    assert exit_status == status, printed
    return printed
