"""The Python environment that a revision's requirements.txt locks, made anew where today's is another."""

import hashlib
import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from flows import logs
from flows.commands import Commands
from flows.environment import environment
from gan.errors import UserError
from gan.files import RUNS

REQUIREMENTS = "requirements.txt"


def pins(text: str) -> dict[str, str]:
    """Return the versions that a file of pinned requirements asks for on this machine, by name.

    Lines that pin nothing (options, other platforms) are left out.
    """
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        try:
            requirement = Requirement(line.partition(" --hash")[0].partition(" #")[0].strip())
        except InvalidRequirement:
            continue
        exact = [pin.version for pin in requirement.specifier if pin.operator == "=="]
        if exact and (requirement.marker is None or requirement.marker.evaluate()):
            found[requirement.name.lower()] = exact[0]
    return found


def differences(wanted: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """Return the packages of which this interpreter has another version, or none: wanted, installed."""
    installed = {name: _installed(name) for name in wanted}
    return {
        name: (version, installed[name]) for name, version in wanted.items() if installed[name] != version
    }


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def restore(root: Path, requirements: Path) -> Path:
    """Return the interpreter of an environment with just what a requirements file pins.

    It is made once a file and Python version, in .runs/environments; what a killed call left of
    one is made again. Raises UserError with the installer's last line where it cannot be made.
    """
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = root / RUNS / "environments" / key
    python, complete = folder / "bin" / "python", folder / ".complete"
    if complete.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    logs.logger().info("making the environment of %s in %s", requirements.name, folder.relative_to(root))
    lines: list[str] = []
    sync = [_uv(), "pip", "sync", "--quiet", "--compile-bytecode", "--python", os.fspath(python)]
    for arguments in (
        [sys.executable, "-m", "venv", "--without-pip", os.fspath(folder)],
        [*sync, os.fspath(requirements)],
    ):
        if Commands(root, environment(root)).run(arguments, lines.append):
            said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
            raise UserError(
                f"the environment of this revision's {REQUIREMENTS} could not be made: {said}; "
                "--same-environment takes today's"
            )
    complete.touch()
    return python


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = os.fspath(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise UserError(
            "no uv here to make this revision's environment with; `make setup`, or --same-environment"
        )
    return found
