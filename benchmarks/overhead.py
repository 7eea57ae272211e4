"""What a Prefect flow costs over `dvc repro`: nothing to do, and the whole pipeline on the digits.

Run in a clone whose pipeline has run: `python -m benchmarks.overhead --rounds 5 --full 2`. Rounds are
interleaved. With PREFECT_API_URL set, that server is used; else each flow starts one of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

QUIET = {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
REPRO = [sys.executable, "-m", "dvc", "repro", "-q"]
WAYS = {
    "dvc repro": REPRO,
    "flows.pipeline": [sys.executable, "-m", "flows.pipeline"],
    "flows.retrain": [sys.executable, "-m", "flows.retrain", "--no-gate"],
}
FULL = {
    "dvc repro": [*REPRO, "--force", "--no-run-cache"],
    "flows.pipeline": [sys.executable, "-m", "flows.pipeline", "--force"],
}


def seconds(argv: list[str]) -> float:
    """Run a command; return how long it took."""
    path = os.pathsep.join([os.fspath(Path(sys.executable).parent), os.environ["PATH"]])
    started = time.monotonic()
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, **QUIET, "PATH": path})
    return time.monotonic() - started


def compare(title: str, ways: dict[str, list[str]], rounds: int) -> None:
    """Time each way in turn; print medians, ranges and what they take more than the first."""
    durations: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, argv in ways.items():
            durations[name].append(seconds(argv))
    first = statistics.median(next(iter(durations.values())))
    for name, times in durations.items():
        middle = statistics.median(times)
        spread = f"{min(times):.1f}-{max(times):.1f}"
        print(
            f"{title:<6} {name:<15} {middle:6.1f} s  ({spread}, n = {rounds})  {middle - first:+.1f} s",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="with nothing to do")
    parser.add_argument("--full", type=int, default=0, help="of the whole pipeline, by force")
    arguments = parser.parse_args()
    compare("no-op", WAYS, arguments.rounds)
    if arguments.full:
        compare("full", FULL, arguments.full)


if __name__ == "__main__":
    main()
