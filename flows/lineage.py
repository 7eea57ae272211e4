"""The experiments that a repository holds: every commit in which dvc.lock changed, and what it recorded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows import graph, objects
from flows.environments import REQUIREMENTS, pins
from flows.git import Git
from flows.record import LOCK, Record, changes, few, flatten, read_record, shown, words
from gan.errors import UserError

METRICS, GRID, INVENTORY = "reports/metrics.json", "samples/grid.png", "inventory.json"
SPREAD, FLOOR = "_sd", "_floor"  # behind a metric's name: its standard deviation; what real images score
BESIDE = (SPREAD, FLOOR, "_low", "_high")  # no metrics of their own; the last two: its 95 % interval
INCOMPARABLE = "through different extractors: these do not compare"
SCORER = "extractor_sha256"  # in the metrics: through what they were measured


@dataclass(frozen=True)
class Entry:
    """One recorded experiment."""

    commit: str
    parents: list[str]  # the experiments that it came from
    when: str  # ISO 8601
    subject: str
    names: list[str]  # what people call it: branches, tags, experiments
    kind: str  # commit | experiment | retraining | promotion
    record: Record
    code: set[str]  # of what the stages read, that which git keeps
    metrics: dict[str, Any]
    packages: dict[str, str]
    grid: bytes | None
    files: dict[str, str] | None  # of the data as downloaded: SHA-256 by path; None where not at hand

    def minute(self) -> str:
        """Return when it was committed, as people read it."""
        return self.when[:16].replace("T", " ")

    def shown(self) -> dict[str, str]:
        """Return the metrics as people read them: with their spread, and what real images score."""
        numbers = {key: value for key, value in self.metrics.items() if isinstance(value, float)}
        return {
            key: f"{value:.3g}"
            + (f" ± {1.96 * numbers[key + SPREAD]:.2g}" if key + SPREAD in numbers else "")
            + (f" (real {numbers[key + FLOOR]:.3g})" if key + FLOOR in numbers else "")
            for key, value in numbers.items()
            if not key.endswith(BESIDE)
        }

    def same_scorer(self, other: "Entry") -> bool:
        """Say whether both were measured through the same extractor: else their metrics do not compare."""
        return bool(self.metrics.get(SCORER) == other.metrics.get(SCORER))


@dataclass(frozen=True)
class Change:
    """What differs from one experiment to another."""

    params: dict[str, tuple[Any, Any]]
    code: list[str]
    data: list[str]  # in words
    packages: dict[str, tuple[Any, Any]]

    def brief(self) -> str:
        """Return it in one line."""
        params = [f"{key} {shown(was)} → {shown(now)}" for key, (was, now) in self.params.items()]
        parts = [few(params, 5)] if params else []
        if self.data:
            parts.append("data")
        if self.code:
            parts.append(f"code: {few(self.code, 2)}")
        if self.packages:
            parts.append(f"packages: {few(list(self.packages), 3)}")
        return "; ".join(parts) or "nothing that is recorded"


def compare(before: Entry, after: Entry) -> Change:
    """Return what differs between two experiments."""
    sources = changes(before.record.sources(), after.record.sources())
    code = [path for path in sources if path in before.code | after.code]
    texts = [f"{path} differs" for path in sources if path not in code]
    was, now = (entry.record.find(INVENTORY) for entry in (before, after))
    if was != now:
        if before.files is None or after.files is None:
            texts.append("the files as downloaded differ; the cache lacks their inventories (`dvc fetch`)")
        else:
            texts += [words(path, *pair) for path, pair in changes(before.files, after.files).items()]
    return Change(
        changes(before.record.params(), after.record.params()),
        code,
        texts,
        changes(before.packages, after.packages),
    )


class Lineage:
    """Reads experiments from git, and what of their data the cache has."""

    def __init__(self, git: Git) -> None:
        self.git = git

    @cached_property
    def cache(self) -> Path:
        """Return the folder of DVC's cache."""
        return graph.cache_folder(self.git.root)

    def entries(self) -> list[Entry]:
        """Return every experiment on any branch, tag or experiment's ref, the newest first."""
        experiments = self.git.experiments()
        lines = self._log(["--branches", "--tags", "--remotes", "HEAD", *experiments.values()])
        names, kinds = self._names(experiments)
        return self._read(lines, names, kinds)

    def entry(self, name: str) -> Entry:
        """Return what a revision recorded. Raises UserError where it names none, or it recorded nothing."""
        revision = self.git.resolve(name)
        lines = self._log(["--max-count=1", "--no-walk", revision.commit], any_commit=True)
        found = self._read(lines, {revision.commit: [name]}, {})
        if not found:
            raise UserError(f"{name} ({revision.commit[:10]}): has no {LOCK}, so nothing was recorded there")
        return found[0]

    def _log(self, which: Sequence[str], any_commit: bool = False) -> list[list[str]]:
        order = [] if any_commit else ["--parents", "--simplify-merges", "--date-order"]
        text = self.git.ask(
            "log",
            *order,
            "-z",
            "--format=%H%x1f%P%x1f%cI%x1f%s",
            *which,
            *([] if any_commit else ["--", LOCK]),
        )
        return [line.split("\x1f") for line in (text or "").split("\0") if line]

    def _names(self, experiments: Mapping[str, str]) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Return what each experiment is called, and of which kind it is, by commit."""
        text = self.git.ask("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", "refs/remotes")
        names: dict[str, list[str]] = {}
        kinds: dict[str, str] = {}
        for ref in [*(text or "").split(), *experiments]:
            # The ref may be at a later commit; the experiment is the one in force there.
            commit = self.git.ask("rev-list", "--max-count=1", ref, "--", LOCK)
            if not commit or ref.endswith("/HEAD"):
                continue
            short = ref.rpartition("/")[2] if ref in experiments else ref.split("/", 2)[2]
            names.setdefault(commit, []).append(short)
            if ref.startswith("refs/tags/") and "@" in short:
                kinds[commit] = "promotion"
            elif "retrain/" in ref:
                kinds.setdefault(commit, "retraining")
            elif ref in experiments:
                kinds.setdefault(commit, "experiment")
        return names, kinds

    def _read(
        self, lines: Sequence[Sequence[str]], names: Mapping[str, list[str]], kinds: Mapping[str, str]
    ) -> list[Entry]:
        wanted = (LOCK, METRICS, GRID, REQUIREMENTS)
        found = self.git.blobs((line[0], path) for line in lines for path in wanted)
        entries = []
        for commit, parents, when, subject in lines:
            lock, metrics, grid, requirements = (found.get((commit, path)) for path in wanted)
            if lock is None:  # removed there
                continue
            record = read_record(lock, commit[:10])
            entries.append(
                Entry(
                    commit,
                    parents.split(),
                    when,
                    subject,
                    names.get(commit, []),
                    kinds.get(commit, "commit"),
                    record,
                    self.git.tracked(commit, record.sources()),
                    _json(metrics),
                    pins((requirements or b"").decode(errors="replace")),
                    grid,
                    self._files(record.find(INVENTORY)),
                )
            )
        return entries

    def _files(self, md5: str | None) -> dict[str, str] | None:
        path = objects.place(self.cache, md5) if md5 else None
        if path is None or not path.is_file():
            return None
        try:
            return {item["path"]: item["sha256"] for item in json.loads(path.read_bytes())["files"]}
        except (ValueError, KeyError, TypeError):
            return None


def _json(text: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        return {}
    return flatten(found) if isinstance(found, dict) else {}
