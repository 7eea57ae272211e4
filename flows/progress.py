"""How far a stage is, read from the lines that it prints, as a Prefect progress artifact that moves."""

import re
from dataclasses import dataclass, field
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows import logs

_LINE = re.compile(r"\s*(?P<stage>\w+) +(?P<unit>\w+) (?P<done>\d+)/(?P<total>\d+)(?:  (?P<rest>.*))?$")
_TOLD = re.compile(r"[\d.]+ images/s|\S+ left")


@dataclass
class Progress:
    """The progress artifact of one stage, made at the first line that tells how far it is."""

    stage: str
    _id: Any = field(default=None, init=False)

    def read(self, line: str) -> None:
        """Move the artifact where the line tells progress; outside of a run do nothing."""
        found = _LINE.match(line)
        if found is None or found["stage"] != self.stage or int(found["total"]) == 0 or not logs.in_run():
            return
        share = min(100.0, 100 * int(found["done"]) / int(found["total"]))
        told = [f"{found['unit']} {found['done']}/{found['total']}", *_TOLD.findall(found["rest"] or "")]
        text = f"{self.stage}: {', '.join(told)}"
        with logs.unharmed("the progress artifact"):
            if self._id is None:
                key = f"progress-{self.stage}"
                self._id = create_progress_artifact(share, key=key, description=text)
            else:
                update_progress_artifact(self._id, share, description=text)
