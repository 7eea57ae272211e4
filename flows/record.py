"""dvc.lock as a record: what each stage read, what it was told, what came out, by hash."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from flows.git import Git
from gan.errors import UserError
from gan.params import parse

LOCK = "dvc.lock"
ABSENT = "absent"  # in the place of a value that one side does not have


@dataclass(frozen=True)
class Stage:
    """One stage's entry. Paths are relative to dvc.lock; hashes are DVC's md5, `.dir` for a folder."""

    command: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)  # by their full name: train.seed


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
        """Return every param that some stage was told."""
        return {key: value for stage in self.stages.values() for key, value in stage.params.items()}

    def sources(self) -> dict[str, str]:
        """Return the inputs that no stage makes, code mostly, with their hashes."""
        made = self.outputs()
        return {
            path: md5
            for stage in self.stages.values()
            for path, md5 in stage.inputs.items()
            if not lies_in(path, made)
        }

    def find(self, name: str) -> str | None:
        """Return the hash of the file of this name among inputs and outputs."""
        for stage in self.stages.values():
            for path, md5 in (*stage.outputs.items(), *stage.inputs.items()):
                if path.rpartition("/")[2] == name:
                    return md5
        return None


def read_record(text: bytes, where: str) -> Record:
    """Read a dvc.lock. Raises UserError that says ``where`` it is broken."""
    try:
        content = parse(text.decode())
        stages = dict(content["stages"]) if content else {}
        return Record({str(name): _stage(entry) for name, entry in stages.items()})
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{where}: dvc.lock is not one that DVC wrote ({error})") from None


def _stage(entry: Mapping[str, Any]) -> Stage:
    command = entry["cmd"]
    return Stage(
        command if isinstance(command, str) else " && ".join(command),
        {item["path"]: str(item.get("md5", "")) for item in entry.get("deps") or []},
        {item["path"]: str(item.get("md5", "")) for item in entry.get("outs") or []},
        {
            key: value
            for of_file in (entry.get("params") or {}).values()
            for key, value in flatten(of_file or {}).items()
        },
    )


def kept(git: Git, commit: str, record: Record) -> dict[str, dict[str, str]]:
    """Return the outs that DVC keeps (and git does not) by stage or .dvc file: hash by path."""
    tracked = git.tracked(commit, record.outputs())
    found = {
        name: {path: md5 for path, md5 in stage.outputs.items() if path not in tracked}
        for name, stage in record.stages.items()
    }
    names = [name for name in git.files(commit) if name.endswith(".dvc")]
    for (_, name), text in git.blobs((commit, name) for name in names).items():
        outs = (parse(text.decode(errors="replace")) or {}).get("outs") or []
        folder = PurePosixPath(name).parent
        found[name] = {(folder / out["path"]).as_posix(): out["md5"] for out in outs if "md5" in out}
    return found


def words(path: str, before: str, after: str) -> str:
    """Say what became of a file, by its hash before and after."""
    return f"{path} {'is new' if before == ABSENT else 'is gone' if after == ABSENT else 'differs'}"


def shown(value: object) -> str:
    """Return a param's value as text that may be shown: without what may be secret in an address."""
    text = str(value)
    if "://" not in text:
        return text
    return re.sub(r"\?\S*", "", re.sub(r"://[^/\s]*@", "://", text))


def few(names: Sequence[str], most: int = 4) -> str:
    """Return the first names of a list, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under their full names: `train.seed`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two mappings: by key the two values, ABSENT where there is none."""
    keys = [*before, *(key for key in after if key not in before)]
    return {
        key: (before.get(key, ABSENT), after.get(key, ABSENT))
        for key in keys
        if before.get(key, ABSENT) != after.get(key, ABSENT)
    }


def lies_in(path: str, outputs: Iterable[str]) -> bool:
    """Say whether a path is one of these outputs, or in one."""
    return any(path == out or path.startswith(f"{out}/") for out in outputs)
