"""Operations under fire: a server, `serve`, retrainings all the time, and kill -9 of random processes.

`python -m benchmarks.soak --minutes 60` works in a clone of this checkout, with tiny params. Afterwards it
checks what docs/operations.md promises, prints a table, and exits with status 1 where something is not so.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from flows.repo import params_file
from gan.command_options import positive, seed

ROOT = Path(__file__).resolve().parent.parent
TINY = {
    "network.base_channels": 4,
    "train.max_steps": 20,
    "train.snapshots": 2,
    "extractor.steps": 30,
    "select.samples": 200,
    "sample.count": 200,
}
DEPLOYMENT = """\
name: ganflow
deployments:
  - name: soak
    entrypoint: flows/retrain.py:retrain
    concurrency_limit: {limit: 1, collision_strategy: ENQUEUE}
"""
IDLE = 600.0  # seconds that runs have to end when nothing is killed any more


class Soak:
    """The clone, and the processes that work in it."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.random = folder / "clone", random.Random(number)  # noqa: S311 - repeatable
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        programs = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(folder / "prefect"),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        self.live: dict[str, subprocess.Popen[bytes]] = {}
        self.killed: list[str] = []
        self.started = 0

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone to its end."""
        return subprocess.run(
            arguments, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=check
        )

    def prepare(self) -> None:
        """Clone, make everything small, run and record it once."""
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.folder)], check=True)
        for name, value in (("user.name", "soak"), ("user.email", "soak@localhost")):
            self.command("git", "config", name, value)
        params_file.change(self.folder / "params.yaml", TINY)
        (self.folder / "prefect.yaml").write_text(DEPLOYMENT, encoding="utf-8")
        self.command("dvc", "repro", "-q")
        self.command("git", "add", "-A")
        self.command("git", "commit", "-qm", "tiny")

    def keep_alive(self) -> None:
        """Start the server and `serve` where they are not, or no longer, there."""
        here = ["--host", "127.0.0.1", "--port", str(self.port)]
        wanted = {
            "server": [sys.executable, "-m", "prefect", "server", "start", *here],
            "serve": [sys.executable, "-m", "flows.serve", "--reports-port", "-1", "--silent", "75"],
        }
        for name, argv in wanted.items():
            if name not in self.live or self.live[name].poll() is not None:
                variables = (
                    {} if name == "server" else {"PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api"}
                )
                with open(self.folder.parent / f"{name}.log", "ab") as log:
                    self.live[name] = subprocess.Popen(
                        argv, cwd=self.folder, env={**self.environment, **variables}, stdout=log, stderr=log
                    )
                self._wait_for_server()

    def _wait_for_server(self) -> None:
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/health"):
                return
            time.sleep(0.5)

    def retrain(self) -> None:
        """Ask for one more retraining, of another seed, every third time one that was there already."""
        number = self.started if self.started % 3 else self.started // 3
        self.started += 1
        deployment = self.ask("deployments/name/retrain/soak", None)
        if deployment:
            body = {"parameters": {"params": {"train.seed": number}, "hours": 1}}
            self.ask(f"deployments/{deployment['id']}/create_flow_run", body)

    def ask(self, what: str, body: object) -> Any:
        """Ask the server; nothing where it is away."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{what}", data, {"Content-Type": "application/json"}
        )
        with suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return json.load(answer)
        return None

    def below(self) -> list[psutil.Process]:
        """Return the processes that work in the clone."""
        processes = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(
                    self.folder
                ):
                    processes.append(process)
        return processes

    def kill_one(self) -> None:
        """Kill a random process without warning."""
        processes = sorted(self.below(), key=lambda process: process.pid)
        if processes:
            victim = self.random.choice(processes)
            with suppress(psutil.Error):
                self.killed.append(" ".join(victim.cmdline())[:60])
                victim.kill()

    def run(self, minutes: float, every: float, kill: float) -> None:
        """Retrain and kill for so long, then let what runs end."""
        end, next_run, next_kill = time.monotonic() + 60 * minutes, 0.0, time.monotonic() + kill
        while (now := time.monotonic()) < end:
            self.keep_alive()
            if now >= next_run:
                self.retrain()
                next_run = now + every
            if now >= next_kill:
                self.kill_one()
                next_kill = now + kill
            time.sleep(1)
        self.keep_alive()
        deadline = time.monotonic() + IDLE
        while time.monotonic() < deadline and (self.waiting() or self.running()):
            time.sleep(2)

    def waiting(self) -> bool:
        """Tell whether the server holds runs that nothing has started yet."""
        states = {"state": {"type": {"any_": ["SCHEDULED", "PENDING"]}}}
        return bool(self.ask("flow_runs/count", {"flow_runs": states}))

    def running(self) -> bool:
        """Tell whether a flow run's process works in the clone."""
        lines = []
        for process in self.below():
            with suppress(psutil.Error):
                lines.append(" ".join(process.cmdline()))
        return any("prefect.engine" in line for line in lines)

    def stop(self) -> None:
        """End the server and `serve` as a system would."""
        for name in ("serve", "server"):
            if name in self.live and self.live[name].poll() is None:
                self.live[name].send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self.live[name].wait(90)


def size(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def checks(soak: Soak, before: int) -> list[tuple[str, str, bool]]:
    """Return what holds afterwards: what, as observed, and whether it is so."""
    flows = [sys.executable, "-m"]
    branches = soak.command(
        "git", "for-each-ref", "--format=%(refname:short)", "refs/heads/retrain"
    ).stdout.split()
    whole = [
        name for name in branches if not soak.command(*flows, "flows.verify", name, check=False).returncode
    ]
    one_run = size(soak.folder / ".dvc" / "cache")
    left = [" ".join(process.cmdline())[:60] for process in soak.below()]
    cleaned = soak.command(*flows, "flows.clean", "--keep", "0", "--days", "0", check=False)
    trees = soak.command("git", "worktree", "list").stdout.splitlines()
    locks = [str(path) for path in (soak.folder / ".git").rglob("*.lock")]
    strays = sorted(path.name for path in soak.folder.parent.iterdir())
    after = size(soak.folder)
    known = ["clone", "prefect", "serve.log", "server.log", "site"]
    listed = soak.command(*flows, "flows.promote", "--list").stdout.strip().splitlines()
    return [
        ("recorded runs that verify", f"{len(whole)} of {len(branches)}", len(whole) == len(branches) > 0),
        ("processes left", f"{len(left)} {left[:3]}", not left),
        ("worktrees left", str(len(trees) - 1), len(trees) == 1),
        ("git locks left", str(locks), not locks),
        ("stray folders", str(sorted(set(strays) - set(known))), set(strays) <= set(known)),
        ("flows.clean", (cleaned.stdout + cleaned.stderr).strip().splitlines()[-1], cleaned.returncode == 0),
        ("champion", listed[-1] if listed else "none", bool(listed)),
        ("MB after clean, and before", f"{after / 1e6:.0f}, {before / 1e6:.0f}", after < before + one_run),
    ]


def main() -> None:
    """Soak, check, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=positive, default=60.0)
    parser.add_argument("--every", type=positive, default=120.0, help="seconds between retrainings")
    parser.add_argument("--kill", type=positive, default=90.0, help="seconds between kills")
    parser.add_argument(
        "--settle", type=positive, default=30.0, help="seconds until processes are looked for"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of who is killed")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    soak = Soak(folder, asked.seed)
    try:
        soak.prepare()
        before = size(soak.folder)
        soak.run(asked.minutes, asked.every, asked.kill)
        soak.stop()
        time.sleep(asked.settle)
        rows = checks(soak, before)
    finally:
        soak.stop()
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{asked.minutes:g} minutes, {soak.started} retrainings, {len(soak.killed)} processes killed:")
    for name in soak.killed:
        print(f"  {name}")
    for what, observed, holds in rows:
        print(f"  {'holds' if holds else 'FAILS'}  {what}: {observed}")
    sys.exit(0 if all(holds for _, _, holds in rows) else 1)


if __name__ == "__main__":
    main()
