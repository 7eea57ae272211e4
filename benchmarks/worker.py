"""A child process: builds one contestant, then does a chunk of steps whenever a line asks for it.

    python -m benchmarks.worker JOB    (JSON; benchmarks/throughput.py starts this)

Between chunks it waits for its stdin, which costs no CPU time, and ends when that is closed.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict

from benchmarks.contestants import Job, build
from gan.errors import UserError
from gan.training.engine import EAGER_STEPS


def main() -> None:
    """Answer in JSON lines: FLOPs of a step once built, then the seconds of each chunk's steps."""
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        for answer in _answers(Job(**json.loads(sys.argv[1]))):
            print(json.dumps(answer), file=answers)
    except UserError as error:
        print(json.dumps({"error": str(error).replace("params.yaml: train.", "--")}), file=answers)


def _answers(job: Job) -> Iterator[dict[str, object]]:
    contestant = build(job)
    flops = contestant.flops()
    if job.kind != "peak":
        contestant.chunk(EAGER_STEPS + 1, 1)  # compilation, capture, choice of kernels: outside the clock
    yield {"flops": flops}
    for line in sys.stdin:
        warmup, steps = map(int, line.split())
        yield {"seconds": contestant.chunk(warmup, steps)}


def command(job: Job) -> list[str]:
    """Return the command that starts a worker for ``job``."""
    return [sys.executable, "-m", "benchmarks.worker", json.dumps(asdict(job))]


if __name__ == "__main__":
    main()
