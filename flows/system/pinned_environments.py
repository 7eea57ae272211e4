"""Environments for the pins in a revision's requirements.txt, created if today's does not match."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from flows.system import logs
from flows.system.processes import Commands, last_line
from flows.system.variables import environment
from gan import paths
from gan.errors import UserError
from gan.files import RUNS
from gan.runtime import packages

REQUIREMENTS = str(paths.REQUIREMENTS)


def pins(text: str) -> dict[str, str]:
    """Return the pinned versions for this machine, by package name.

    Options and lines for other platforms are skipped.
    """
    versions = {}
    for line in text.replace("\\\n", " ").splitlines():
        try:
            requirement = Requirement(line.partition(" --hash")[0].partition(" #")[0].strip())
        except InvalidRequirement:
            continue
        exact = [pin.version for pin in requirement.specifier if pin.operator == "=="]
        if exact and (requirement.marker is None or requirement.marker.evaluate()):
            versions[requirement.name.lower()] = exact[0]
    return versions


def differences(wanted: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    """Return the packages of which this interpreter has another version, or none: wanted, installed.

    The build's label (`+cu130`) does not count.
    """
    installed = {name: _installed(name) for name in wanted}
    return {
        name: (version, installed[name])
        for name, version in wanted.items()
        if (installed[name] or "").partition("+")[0] != version.partition("+")[0]
    }


def hold(tree: Path, allowed: bool) -> packages.Differing:
    """Hold today's packages to the pins of a revision that is checked out in ``tree``; return the others.

    Raises UserError naming them unless ``allowed``: the user said to go on.
    """
    other = packages.differing(tree / paths.PINS) if (tree / paths.PINS).is_file() else {}
    if other and not allowed:
        raise UserError(
            f"{packages.describe(other)}: not the environment that this revision pins; `make setup` installs "
            "it, or --unpinned goes on with this one, and says so in what it records"
        )
    if other:
        logs.logger().warning("unpinned, as asked for: %s", packages.describe(other))
    return other


def stage_variables(allowed: bool) -> dict[str, str]:
    """Return the variables by which stages go on with packages that are not as pinned, or do not."""
    return {packages.UNPINNED: "1" if allowed else "0"}


def unpinned(figures: bytes | None) -> dict[str, dict[str, str]]:
    """Return the packages that were not as pinned, by stage, as an evaluation says; as a rule none."""
    try:
        by_stage = json.loads(figures or b"{}")["unpinned"]
        return {str(stage): dict(other) for stage, other in by_stage.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def as_texts(other: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Name packages that were not as pinned: `train: torch 2.11.0`, a text a stage."""
    return [
        f"{stage}: {', '.join(f'{name} {version}' for name, version in ran.items())}"
        for stage, ran in other.items()
    ]


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def key(requirements: bytes) -> str:
    """Return what the environment of a requirements file is called, for this Python."""
    return hashlib.sha256(requirements + sys.version.encode()).hexdigest()[:16]


def restore(root: Path, requirements: Path) -> Path:
    """Return the interpreter of an environment with exactly the pins of a requirements file.

    It is created once per file content and Python version, in .runs/environments. One that a killed call
    left incomplete is created again. Raises UserError with the installer's last line if that fails.
    """
    folder = root / RUNS / "environments" / key(requirements.read_bytes())
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
            message = last_line(lines)
            raise UserError(
                f"the environment of this revision's {REQUIREMENTS} could not be made: {message}; "
                "--same-environment takes today's"
            )
    complete.touch()
    return python


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    uv = os.fspath(beside) if beside.exists() else shutil.which("uv")
    if not uv:
        raise UserError(
            "no uv here to make this revision's environment with; `make setup`, or --same-environment"
        )
    return uv
