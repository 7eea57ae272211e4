"""Reading dvc.lock: the hashes of each stage's inputs and outputs, and its params."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from flows.repo.git import Git
from gan import paths
from gan.errors import UserError
from gan.yaml12 import parse_yaml

LOCK = str(paths.LOCK)
ABSENT = "absent"  # in the place of a value that one side does not have


@dataclass(frozen=True)
class Stage:
    """One stage's entry. Paths are relative to dvc.lock; hashes are DVC's md5, `.dir` for a folder."""

    command: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)  # by their full name: train.seed
    packages: dict[str, str] = field(default_factory=dict)  # the pins of those that it imports


@dataclass(frozen=True)
class Record:
    """All of a dvc.lock, in its order."""

    stages: dict[str, Stage]

    def outputs(self) -> dict[str, tuple[str, str]]:
        """Return each output's stage and hash."""
        return {
            path: (name, md5) for name, stage in self.stages.items() for path, md5 in stage.outputs.items()
        }

    def params(self) -> dict[str, Any]:
        """Return every param that a stage recorded."""
        return {key: value for stage in self.stages.values() for key, value in stage.params.items()}

    def packages(self) -> dict[str, str]:
        """Return the pin of every package that some stage imports; none in records from before pins."""
        return {key: value for stage in self.stages.values() for key, value in stage.packages.items()}

    def sources(self) -> dict[str, str]:
        """Return the inputs that no stage makes (mostly code), with their hashes."""
        made = self.outputs()
        return {
            path: md5
            for stage in self.stages.values()
            for path, md5 in stage.inputs.items()
            if not lies_in(path, made)
        }

    def find(self, name: str) -> str | None:
        """Return the hash of the input or output with this name."""
        for stage in self.stages.values():
            for path, md5 in (*stage.outputs.items(), *stage.inputs.items()):
                if path.rpartition("/")[2] == name:
                    return md5
        return None


def read_record(text: bytes, where: str) -> Record:
    """Read a dvc.lock. Raises UserError if it is broken; ``where`` names it in the message."""
    try:
        content = parse_yaml(text.decode())
        stages = dict(content["stages"]) if content else {}
        return Record({str(name): _stage(entry) for name, entry in stages.items()})
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{where}: dvc.lock is not one that DVC wrote ({error})") from None


def _stage(entry: Mapping[str, Any]) -> Stage:
    command, params = entry["cmd"], dict(entry.get("params") or {})
    packages = params.pop(str(paths.PINS), None) or {}
    return Stage(
        command if isinstance(command, str) else " && ".join(command),
        {item["path"]: str(item.get("md5", "")) for item in entry.get("deps") or []},
        {item["path"]: str(item.get("md5", "")) for item in entry.get("outs") or []},
        {key: value for of_file in params.values() for key, value in flatten(of_file or {}).items()},
        {name: str(version) for name, version in packages.items()},
    )


def dvc_outputs(git: Git, commit: str, record: Record) -> dict[str, dict[str, str]]:
    """Return the outs that DVC keeps (and git does not) by stage or .dvc file: hash by path."""
    tracked = git.tracked(commit, record.outputs())
    by_stage = {
        name: {path: md5 for path, md5 in stage.outputs.items() if path not in tracked}
        for name, stage in record.stages.items()
    }
    names = [name for name in git.files(commit) if name.endswith(".dvc")]
    for (_, name), text in git.blobs((commit, name) for name in names).items():
        outs = (parse_yaml(text.decode(errors="replace")) or {}).get("outs") or []
        folder = PurePosixPath(name).parent
        by_stage[name] = {(folder / out["path"]).as_posix(): out["md5"] for out in outs if "md5" in out}
    return by_stage


def describe_change(path: str, before: str, after: str) -> str:
    """Return how a file changed (changed, new, gone), from its hashes before and after."""
    return f"{path} {'is new' if before == ABSENT else 'is gone' if after == ABSENT else 'differs'}"


def few(names: Sequence[str], most: int = 4) -> str:
    """Return the first names of a list, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by their full names, such as `train.seed`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return both values for each key in which two mappings differ; ABSENT for a missing one."""
    keys = [*before, *(key for key in after if key not in before)]
    return {
        key: (before.get(key, ABSENT), after.get(key, ABSENT))
        for key in keys
        if before.get(key, ABSENT) != after.get(key, ABSENT)
    }


def lies_in(path: str, outputs: Iterable[str]) -> bool:
    """Say whether a path is one of these outputs, or in one."""
    return any(path == out or path.startswith(f"{out}/") for out in outputs)
