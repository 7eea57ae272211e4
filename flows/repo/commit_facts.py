"""What commits recorded, read once: a commit never changes, so what was read of it is kept in .runs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flows.repo import recorded_figures
from flows.repo.git import Git
from flows.repo.lock_file import LOCK, Record, Stage, flatten, read_record
from flows.system.pinned_environments import REQUIREMENTS, pins, unpinned
from gan import paths
from gan.files import RUNS, write_text
from gan.urls import redacted_values

GRID = str(paths.GRID)
FORMAT = 2  # of the file: another one is read anew


@dataclass(frozen=True)
class Facts:
    """What one commit recorded."""

    record: Record
    params: dict[str, Any]
    sources: dict[str, str]  # what the stages read and no stage makes, with hashes
    code: list[str]  # of these, what git keeps
    metrics: dict[str, Any]
    packages: dict[str, str]
    unpinned: dict[str, dict[str, str]]  # packages that were not as pinned, by stage: what ran
    grid: str | None  # git's name of the picture's bytes


class CommitFacts:
    """Reads commits, and keeps what it read."""

    def __init__(self, git: Git) -> None:
        self._git, self._path = git, git.root / RUNS / "history" / "commits.json"
        self._kept: dict[str, Any] | None = None

    def of(self, commits: Iterable[str], *, keep: bool = True) -> dict[str, Facts]:
        """Return what each commit recorded; those without a dvc.lock are left out."""
        wanted = list(commits)
        cached = self._read()
        if missing := [commit for commit in wanted if commit not in cached["commits"]]:
            self._look(missing, cached)
            if keep:
                self._write(cached)
        known = {commit: cached["commits"][commit] for commit in wanted}
        records: dict[str, tuple[Record, dict[str, Any]]] = {}
        return {commit: self._facts(row, cached, records) for commit, row in known.items() if row is not None}

    def in_force(self, tips: Mapping[str, str]) -> dict[str, str]:
        """Return, by name, the last commit up to each tip in which dvc.lock changed."""
        cached = self._read()
        for tip in set(tips.values()) - set(cached["in_force"]):
            cached["in_force"][tip] = self._git.ask("rev-list", "--max-count=1", tip, "--", LOCK) or ""
        return {name: cached["in_force"][tip] for name, tip in tips.items()}

    def known(self, commits: Iterable[str]) -> None:
        """Take note of commits that changed dvc.lock: each is the one in force at itself."""
        self._read()["in_force"].update({commit: commit for commit in commits})

    def _read(self) -> dict[str, Any]:
        if self._kept is None:
            try:
                self._kept = json.loads(self._path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self._kept = None
            if not isinstance(self._kept, dict) or self._kept.get("format") != FORMAT:
                self._kept = {"format": FORMAT, "commits": {}, "records": {}, "pins": {}, "in_force": {}}
        return self._kept

    def _write(self, cached: Mapping[str, Any]) -> None:
        # Records with a secret in an address are read again from git each time: it stays in dvc.lock alone.
        records = {lock: row for lock, row in cached["records"].items() if not _secret(row)}
        commits = {
            commit: row for commit, row in cached["commits"].items() if row is None or row["lock"] in records
        }
        content = {**cached, "records": records, "commits": commits}
        write_text(self._path, json.dumps(content, separators=(",", ":"), ensure_ascii=False))

    def _look(self, commits: list[str], cached: dict[str, Any]) -> None:
        names = self._git.names((commit, path) for commit in commits for path in (LOCK, REQUIREMENTS, GRID))
        wanted = {
            (commit, path)
            for (commit, path), blob in names.items()
            if (path == LOCK and blob not in cached["records"])
            or (path == REQUIREMENTS and blob not in cached["pins"])
        }
        texts, figures = self._git.blobs(wanted), recorded_figures.of(self._git, commits)
        for commit in commits:
            lock, pinned = names.get((commit, LOCK)), names.get((commit, REQUIREMENTS))
            if lock is None:
                cached["commits"][commit] = None
                continue
            if lock not in cached["records"]:
                record = read_record(texts[commit, LOCK], commit[:10])
                stages = {name: asdict(stage) for name, stage in record.stages.items()}
                cached["records"][lock] = {"stages": stages, "sources": record.sources()}
            if pinned and pinned not in cached["pins"]:
                cached["pins"][pinned] = pins(texts[commit, REQUIREMENTS].decode(errors="replace"))
            sources = cached["records"][lock]["sources"]
            cached["commits"][commit] = {
                "lock": lock,
                "pins": pinned,
                "grid": names.get((commit, GRID)),
                "code": sorted(self._git.tracked(commit, sources)),
                "metrics": _json(figures.get(commit)),
                "unpinned": unpinned(figures.get(commit)),
            }

    def _facts(self, row: Mapping[str, Any], cached: Mapping[str, Any], records: dict[str, Any]) -> Facts:
        lock = row["lock"]
        if lock not in records:
            stages = cached["records"][lock]["stages"].items()
            record = Record({name: Stage(**stage) for name, stage in stages})
            records[lock] = record, record.params()
        record, params = records[lock]
        sources = cached["records"][lock]["sources"]
        packages = record.packages() or cached["pins"].get(row["pins"], {})
        return Facts(
            record, params, sources, row["code"], row["metrics"], packages, row["unpinned"], row["grid"]
        )


def _secret(row: Mapping[str, Any]) -> bool:
    return json.dumps(redacted_values(row)) != json.dumps(row)


def _json(text: bytes | None) -> dict[str, Any]:
    try:
        content = json.loads(text or b"{}")
    except ValueError:
        return {}
    return flatten(content) if isinstance(content, dict) else {}
