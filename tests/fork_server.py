"""The process that forks commands. See `forked_commands` for what asks it.

What is forked has its own arguments, environment, folder, session and output, runs the code of its own
folder, and ends as `python -m` does.
"""

import atexit
import gc
import importlib
import json
import logging
import os
import random
import runpy
import selectors
import shutil
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

FLOWS = ("pipeline", "retrain", "promote", "sweep", "reproduce", "history", "verify", "push", "page")
STAGES = ("download", "prepare", "validate", "train", "extractor", "select", "sample", "evaluate", "report")
# What is imported. Its only threads are those of OpenBLAS and jemalloc, which are made for a fork. The last
# two lines are what Adam and DVC import when they are first called, and Prefect's server.
PRELOADED = (
    *(f"gan.stages.{name}" for name in STAGES),
    *(f"flows.{name}" for name in FLOWS),
    *("torch._dynamo", "dvc.cli", "dvc.repo", "dvc.commands.repro", "dvc.commands.experiments"),
    *("uvicorn.main", "prefect.server.api.server"),
)
# Read when something is imported: where a command has another value than the tests, Python starts anew.
READ_EARLY = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "ATEN_", "ONEDNN_", "LC_", "LANG", "PYTHONHASH")
ROOT = Path(__file__).resolve().parent.parent


class Server:
    """Forks a process for each request, and tells who asked its number and its end.

    Whoever lets go of a line before that end wants the command, and what it started, killed.
    """

    def __init__(self, folder: Path) -> None:
        (folder / "socket").unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(os.fspath(folder / "socket"))
        self._listening.listen(100)
        self._lines: dict[socket.socket, int] = {}  # and the process that each asked for; 0: none yet
        self._ended, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._ended, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Fork for each request; return it in the new process. None, when nobody has a line any more."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listening:
                    line, _ = self._listening.accept()
                    self._lines[line] = 0
                    self._selector.register(line, selectors.EVENT_READ)
                elif key.fileobj == self._ended:
                    os.read(self._ended, 4096)
                    self._tell()
                elif key.fileobj in self._lines:
                    request = self._hear(key.fileobj)
                    if request is not None:
                        return request
                    if not self._lines:
                        return None

    def _hear(self, line: socket.socket) -> dict[str, Any] | None:
        """Take a request and fork; return it in the new process."""
        data, descriptors = _request(line)
        if not data:
            self._drop(line)
            return None
        child = os.fork()
        if child:
            for descriptor in descriptors:
                os.close(descriptor)
            self._lines[line] = child
            with suppress(OSError):
                line.sendall(f"{child:<12}".encode())
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for each in (self._listening, *self._lines):
            each.close()
        return {**json.loads(data), "descriptors": descriptors}

    def _drop(self, line: socket.socket) -> None:
        child = self._lines.pop(line)
        self._selector.unregister(line)
        line.close()
        if child:
            for kill in (os.killpg, os.kill):  # it may not lead its group yet
                with suppress(ProcessLookupError):
                    kill(child, signal.SIGKILL)

    def _tell(self) -> None:
        """Tell of each process that has ended."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for line in [line for line, child in self._lines.items() if child == ended[0]]:
                    with suppress(OSError):
                        line.sendall(f"{os.waitstatus_to_exitcode(ended[1]):<12}".encode())
                    self._lines[line] = 0


def _request(line: socket.socket) -> tuple[bytes, list[int]]:
    """Return a request and its three files; nothing where who asked is gone, perhaps killed while asking."""
    data, descriptors = bytearray(), []
    with suppress(OSError):  # a reset: it was killed before it read an answer
        head, descriptors, _, _ = socket.recv_fds(line, 4, 3)
        while head and len(data) < int.from_bytes(head, "big"):
            if not (more := line.recv(65536)):
                break
            data += more
        if head and len(data) == int.from_bytes(head, "big"):
            return bytes(data), descriptors
    for descriptor in descriptors:
        os.close(descriptor)
    return b"", []


def become(request: dict[str, Any]) -> None:
    """Make this process what `python -m` would be, and run the module."""
    module, arguments, environment = request["module"], request["arguments"], request["environment"]
    cwd, executable = request["cwd"], request.get("executable", sys.executable)
    os.setsid()
    os.chdir(cwd)
    for target, descriptor in enumerate(request["descriptors"]):
        os.dup2(descriptor, target)
        os.close(descriptor)
    paths = list(filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)))
    if any(Path(path, "sitecustomize.py").exists() for path in paths) or any(
        name.startswith(READ_EARLY) and value != os.environ.get(name) for name, value in environment.items()
    ):
        # It matters before anything is imported. So Python starts.
        os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)
    # New ones: those that Python made remember whether the old files could be sought in.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.path[:] = [cwd, *paths, *(path for path in sys.path[1:] if path not in paths)]
    sys.executable, sys.orig_argv = executable, [executable, "-m", module, *arguments]
    sys.argv = [module, *arguments]
    os.environ.clear()
    os.environ.update(environment)
    _forget_ours([cwd, *paths], module)
    if module.partition(".")[0] in (
        "gan",
        "dvc",
    ):  # knows nothing of Prefect, which made the root logger speak
        logging.root.handlers.clear()
        logging.root.setLevel(logging.WARNING)
    for package in ("gan", "flows"):
        if package in sys.modules:  # it sets variables
            importlib.reload(sys.modules[package])
    sys.modules["prefect.context"].refresh_global_settings_context()
    random.seed()  # Prefect draws the names of runs
    if not hasattr(sys.modules.get(module), "__path__"):  # runpy wants to run it itself
        sys.modules.pop(module, None)
    if module == "ganflow":
        sys.path.pop(0)
        importlib.import_module("ganflow").main()
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def run(request: dict[str, Any]) -> NoReturn:
    """Run the command and end as Python does, but leave the memory to the system: it is much."""
    status = 1
    try:
        become(request)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        else:
            status = int(end.code or 0)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def _forget_ours(paths: list[str], module: str) -> None:
    """Forget gan and flows where the command's own paths have others."""
    first = {
        name: next((Path(path) for path in paths if Path(path, name, "__init__.py").exists()), ROOT)
        for name in ("gan", "flows")
    }
    other = [name for name, folder in first.items() if not (folder / name).samefile(ROOT / name)]
    if "flows" in other or (other and not module.startswith("flows")):
        for name in list(sys.modules):
            if name.partition(".")[0] in ("gan", "flows", "ganflow"):
                del sys.modules[name]


def main() -> None:
    """Import what is heavy, then fork until the tests end."""
    folder, ready = Path(sys.argv[1]), int(sys.argv[2])
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the pages of what is imported stay shared
    server = Server(folder)
    os.write(ready, b"1")
    os.close(ready)
    request = server.serve()
    if request is not None:
        run(request)
    else:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
