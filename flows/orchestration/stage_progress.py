"""A stage's progress, read from its output lines, as a Prefect progress artifact."""

import contextvars
import re
import threading
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.system import logs

_LINE = re.compile(r"\s*(?P<stage>\w+) +(?P<unit>\w+) (?P<done>\d+)/(?P<total>\d+)(?:  (?P<rest>.*))?$")
_TOLD = re.compile(r"[\d.]+ images/s|\S+ left")


class Progress:
    """The progress artifact of one stage, created at its first progress line.

    A thread sends only the newest line, so a stage never waits for the server.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._lock = threading.Lock()
        self._newest: tuple[float, str] | None = None
        self._sending = False
        self._id: Any = None

    def read(self, line: str) -> None:
        """Update the artifact if the line shows progress; outside a run do nothing."""
        match = _LINE.match(line)
        if match is None or match["stage"] != self.stage or int(match["total"]) == 0 or not logs.in_run():
            return
        share = min(100.0, 100 * int(match["done"]) / int(match["total"]))
        texts = [f"{match['unit']} {match['done']}/{match['total']}", *_TOLD.findall(match["rest"] or "")]
        with self._lock:
            self._newest = share, f"{self.stage}: {', '.join(texts)}"
            if not self._sending:
                self._sending = True
                run = contextvars.copy_context().run
                threading.Thread(target=run, args=(self._send,), daemon=True).start()

    def _send(self) -> None:
        while True:
            with self._lock:
                newest, self._newest = self._newest, None
                if newest is None:
                    self._sending = False
                    return
            with logs.unharmed("the progress artifact"):
                self._move(*newest)

    def _move(self, share: float, text: str) -> None:
        if self._id is None:
            self._id = create_progress_artifact(share, key=f"progress-{self.stage}", description=text)
        else:
            update_progress_artifact(self._id, share, description=text)
