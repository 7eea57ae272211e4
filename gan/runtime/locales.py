"""Any name and any character, whatever the locale is."""

import io
import os
import sys


def accept_any_text() -> None:
    """Have file names in UTF-8, and let no character stop a line from being printed.

    Where a locale makes Python read file names as ASCII, this command is started again in Python's UTF-8
    mode: to be called before anything is done. A character that the output cannot show is escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    utf8 = sys.getfilesystemencoding().lower().replace("-", "") == "utf8"
    if not utf8 and os.environ.get("PYTHONUTF8") != "1":  # else it was tried, and Python ignores it
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONUTF8": "1"})  # noqa: S606
