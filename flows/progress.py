"""How far a stage is, read from the lines that it prints, as a Prefect progress artifact that moves."""

import contextvars
import re
import threading
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows import logs

_LINE = re.compile(r"\s*(?P<stage>\w+) +(?P<unit>\w+) (?P<done>\d+)/(?P<total>\d+)(?:  (?P<rest>.*))?$")
_TOLD = re.compile(r"[\d.]+ images/s|\S+ left")


class Progress:
    """The progress artifact of one stage, made at the first line that tells how far it is.

    A thread sends it, the newest line only: while a server is away the stage is not kept waiting.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._lock = threading.Lock()
        self._newest: tuple[float, str] | None = None
        self._sending = False
        self._id: Any = None

    def read(self, line: str) -> None:
        """Move the artifact where the line tells progress; outside of a run do nothing."""
        found = _LINE.match(line)
        if found is None or found["stage"] != self.stage or int(found["total"]) == 0 or not logs.in_run():
            return
        share = min(100.0, 100 * int(found["done"]) / int(found["total"]))
        told = [f"{found['unit']} {found['done']}/{found['total']}", *_TOLD.findall(found["rest"] or "")]
        with self._lock:
            self._newest = share, f"{self.stage}: {', '.join(told)}"
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
