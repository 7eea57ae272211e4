"""Files that are whole or absent: atomic writes, checksums, the exclusive run lock."""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from gan.errors import UserError

RUNS = Path(".runs")  # what git and DVC do not track: locks, resume states, times, hosts


# The checkout that a worktree stands in for: what a user's relative path is relative to.
CHECKOUT = "GANFLOW_CHECKOUT"
EXPERIMENTS = (".dvc", "tmp", "exps")


def users_path(text: str) -> Path:
    """Return the path of a file or folder that a param names.

    A relative one is looked for here and then, in a worktree or a copy, in the user's checkout.
    """
    path = Path(text).expanduser()
    checkout = _checkout()
    return path if checkout is None or path.exists() else checkout / path


def _checkout() -> Path | None:
    """Return the checkout that this folder stands in for; None if it is one itself."""
    if named := os.environ.get(CHECKOUT):
        return Path(named)
    # `dvc exp run --temp` and `--queue` work in copies, CHECKOUT/.dvc/tmp/exps/NAME.
    here = Path.cwd()
    return next(
        (folder.parents[3] for folder in (here, *here.parents) if folder.parts[-4:-1] == EXPERIMENTS), None
    )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError of the block a file name when it has none (a failed write has none)."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


@contextmanager
def atomic_writer(path: Path, *, shared: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` when the block ends well.

    The bytes are on the disk before the name changes, so a reader, a crash or a full disk
    finds the old file or the new one, never a part. Raises OSError naming ``path``.

    ``shared``: several processes may write it at once, and the last one's stays. What a killed one has
    written is then left beside it; else the next run takes its place.
    """
    each = f".{secrets.token_hex(8)}" if shared else ""
    temporary = path.with_name(f".{path.name}{each}.tmp")
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write ``content`` to ``path`` atomically; ``shared`` as in `atomic_writer`."""
    with atomic_writer(path, shared=shared) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` atomically, as UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` atomically: indented, keys in the order given, no NaN."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises UserError when it is absent or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage that writes it, `dvc repro`") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); delete it and run `dvc repro`") from None


def empty_folder(path: Path, option: str) -> Path:
    """Return the folder to write, absolute. Raises UserError where something is in it, or is it."""
    folder = path.resolve()
    if folder == Path.cwd() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UserError(f"{option} {path}: not an empty folder; name a new one")
    return folder


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Build a folder beside ``path`` that takes its place when the block ends well.

    Yields the folder to fill. When the block raises, ``path`` is what it was before. A folder
    that a killed process left behind is cleared away first.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    old = path.with_name(f".{path.name}.old.tmp")
    try:
        with naming(path):
            for left_over in (temporary, old):
                shutil.rmtree(left_over, ignore_errors=True)
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder so that a kill leaves all of it under its name, or nothing."""
    doomed = path.with_name(f".{path.name}.tmp")
    with naming(path):
        shutil.rmtree(doomed, ignore_errors=True)  # what an earlier kill left over
        os.replace(path, doomed)
        shutil.rmtree(doomed)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal, in constant memory."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def run_lock(name: str) -> Iterator[None]:
    """Hold ``.runs/NAME.lock`` for the block.

    Raises UserError when another process holds it: a second trainer beside an orphan of a
    killed `dvc repro` would write the same files.
    """
    path = RUNS / f"{name}.lock"
    file = take_lock(path)
    if file is None:
        raise UserError(
            f"{name}: process {lock_holder(path)} is already at it here ({path} is locked); "
            "wait for it, or stop it and run again"
        )
    with file:
        yield


def take_lock(path: Path) -> BinaryIO | None:
    """Lock a file until it is closed; the kernel releases it however the process ends.

    Return None if another process holds it, `lock_holder` says which.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b")  # noqa: SIM115 - closing it would release the lock
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    with naming(path):
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
    return file


def lock_holder(path: Path) -> str:
    """Return the number of the process that holds a lock, as far as it is known."""
    return path.read_text(encoding="utf-8", errors="replace").strip() or "unknown"
