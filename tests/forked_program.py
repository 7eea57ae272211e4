"""The programs `python`, `dvc` and `ganflow` of tests: each asks `fork_server` to fork what it is to run.

Copies of this file, made executable, stand in a folder that is first on PATH. It imports next to nothing,
since it is started by the hundred. What is no module of ours or DVC, it leaves to the real interpreter.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

FORKED = ("gan", "flows", "dvc", "uvicorn")  # packages whose modules are; the last is Prefect's server


def main() -> None:
    """Have the command forked, pass signals on to it, and end as it does."""
    program, python = Path(sys.argv[0]).absolute(), os.environ["FORKED_PYTHON"]
    typed = sys.argv[1:] if program.name == "python" else ["-m", program.name, *sys.argv[1:]]
    if program.name == "python" and not (
        typed[:1] == ["-m"] and len(typed) > 1 and typed[1].partition(".")[0] in FORKED
    ):
        os.execv(python, [python, *typed])
    request = {
        "module": typed[1],
        "arguments": typed[2:],
        "cwd": os.fspath(Path.cwd()),
        "environment": dict(os.environ),
        "executable": os.fspath(program.with_name("python")),
    }
    line = socket.socket(socket.AF_UNIX)
    line.connect(os.fspath(program.parent.parent / "socket"))
    data = json.dumps(request).encode()
    socket.send_fds(line, [len(data).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(data)
    child = int(line.recv(12))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda got, _: os.killpg(child, got))
    status = int(line.recv(12) or -signal.SIGKILL)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
