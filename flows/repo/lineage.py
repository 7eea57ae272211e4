"""The experiments of a repository: every commit in which dvc.lock changed, and what it recorded."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.repo import cache_objects, dvc_graph
from flows.repo.commit_facts import CommitFacts, Facts
from flows.repo.git import Git
from flows.repo.lock_file import ABSENT, LOCK, Record, changes, describe_change, few
from gan import paths
from gan.errors import UserError
from gan.metric_table import BESIDE, Z
from gan.urls import redacted

INVENTORY = paths.INVENTORY.name
SPREAD, FLOOR = "_sd", "_floor"  # behind a metric's name: its standard deviation; what real images score
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
    facts: Facts
    read_files: Callable[[str | None], dict[str, str] | None]

    @property
    def record(self) -> Record:
        """What its dvc.lock holds."""
        return self.facts.record

    @property
    def metrics(self) -> dict[str, Any]:
        """Its metrics, nested ones under their full names."""
        return self.facts.metrics

    @property
    def packages(self) -> dict[str, str]:
        """The packages that stages name, by their pins in dvc.lock; before, all pins."""
        return self.facts.packages

    @property
    def unpinned(self) -> dict[str, dict[str, str]]:
        """The packages that were not as pinned, by stage: what ran."""
        return self.facts.unpinned

    @property
    def files(self) -> dict[str, str] | None:
        """The data as downloaded: SHA-256 by path; None where not at hand."""
        return self.read_files(self.record.find(INVENTORY))

    def minute(self) -> str:
        """Return the date and time of the commit, to the minute."""
        return self.when[:16].replace("T", " ")

    def metric_texts(self) -> dict[str, str]:
        """Return the metrics as text, with half of their 95 % interval and the score of real images."""
        numbers = {key: value for key, value in self.metrics.items() if isinstance(value, float)}
        return {
            key: f"{value:.3g}"
            + (f" ± {Z * numbers[key + SPREAD]:.2g}" if key + SPREAD in numbers else "")
            + (f" (real {numbers[key + FLOOR]:.3g})" if key + FLOOR in numbers else "")
            for key, value in numbers.items()
            if not key.endswith(BESIDE)
        }

    def same_scorer(self, other: "Entry") -> bool:
        """Say whether both used the same extractor; otherwise their metrics cannot be compared."""
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
        params = [f"{key} {redacted(was)} → {redacted(now)}" for key, (was, now) in self.params.items()]
        differences = [few(params, 5)] if params else []
        if self.data:
            differences.append("data")
        if self.code:
            differences.append(f"code: {few(self.code, 2)}")
        if self.packages:
            texts = [f"{name} {was} → {now}" for name, (was, now) in self.packages.items()]
            differences.append(f"packages: {few(texts, 3)}")
        return "; ".join(differences) or "nothing that is recorded"


def compare(before: Entry, after: Entry) -> Change:
    """Return what differs between two experiments."""
    sources = changes(before.facts.sources, after.facts.sources)
    kept_by_git = {*before.facts.code, *after.facts.code}
    code = [path for path in sources if path in kept_by_git]
    texts = [f"{path} differs" for path in sources if path not in code]
    was, now = (entry.record.find(INVENTORY) for entry in (before, after))
    if was != now:
        old, new = before.files, after.files
        if old is None or new is None:
            texts.append("the files as downloaded differ; the cache lacks their inventories (`dvc fetch`)")
        else:
            texts += [describe_change(path, *pair) for path, pair in changes(old, new).items()]
    return Change(
        changes(before.facts.params, after.facts.params),
        code,
        texts,
        _of_both(before, after),
    )


def _of_both(before: Entry, after: Entry) -> dict[str, tuple[Any, Any]]:
    """Return the packages that differ; of those that both records name, where one is from before pins."""
    differing = changes(before.packages, after.packages)
    if bool(before.record.packages()) == bool(after.record.packages()):
        return differing
    return {name: pair for name, pair in differing.items() if ABSENT not in pair}


class Lineage:
    """Reads experiments from git, and the list of their data files from DVC's cache."""

    def __init__(self, git: Git) -> None:
        self.git, self.facts = git, CommitFacts(git)

    @cached_property
    def cache(self) -> Path:
        """Return the folder of DVC's cache."""
        return dvc_graph.cache_folder(self.git.root)

    def entries(self) -> list[Entry]:
        """Return every experiment on any branch, tag or experiment ref, newest first."""
        experiments = self.git.experiments()
        lines = self._log(["--branches", "--tags", "--remotes", "HEAD", *experiments.values()])
        self.facts.known(line[0] for line in lines)
        names, kinds = self._names(experiments)
        return self._read(lines, names, kinds)

    def entry(self, name: str) -> Entry:
        """Return the experiment of a revision. Raises UserError if there is none, or it recorded nothing."""
        revision = self.git.resolve(name)
        lines = self._log(["--max-count=1", "--no-walk", revision.commit], any_commit=True)
        entries = self._read(lines, {revision.commit: [name]}, {}, keep=False)
        if not entries:
            raise UserError(f"{name} ({revision.commit[:10]}): has no {LOCK}, so nothing was recorded there")
        return entries[0]

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
        """Return the names and the kind of each experiment, by commit."""
        form = "--format=%(objectname) %(*objectname) %(refname)"
        text = self.git.ask("for-each-ref", form, "refs/heads", "refs/tags", "refs/remotes")
        rows = [line.split() for line in (text or "").splitlines()]
        tips = {row[-1]: row[-2] for row in rows if not row[-1].endswith("/HEAD")} | dict(experiments)
        names: dict[str, list[str]] = {}
        kinds: dict[str, str] = {}
        # The ref may be at a later commit; the experiment is the one in force there.
        for ref, commit in self.facts.in_force(tips).items():
            if not commit:
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
        self,
        lines: Sequence[Sequence[str]],
        names: Mapping[str, list[str]],
        kinds: Mapping[str, str],
        *,
        keep: bool = True,
    ) -> list[Entry]:
        facts = self.facts.of((line[0] for line in lines), keep=keep)
        return [
            Entry(
                commit,
                parents.split(),
                when,
                subject,
                names.get(commit, []),
                kinds.get(commit, "commit"),
                facts[commit],
                self._files,
            )
            for commit, parents, when, subject in lines
            if commit in facts  # else it was removed there
        ]

    def _files(self, md5: str | None) -> dict[str, str] | None:
        path = cache_objects.object_path(self.cache, md5) if md5 else None
        if path is None or not path.is_file():
            return None
        try:
            return {item["path"]: item["sha256"] for item in json.loads(path.read_bytes())["files"]}
        except (ValueError, KeyError, TypeError):
            return None
