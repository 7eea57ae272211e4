"""May a revision's model become the champion? `python -m flows.promote REVISION`, or `--rollback`.

Its samples and the champion's are held against the same held-out images, the revision's, through the
same extractor. A better one is registered as a version (a GTO tag); a refusal says why.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow

from flows import push
from flows.front_door import command_table
from flows.judge import gate
from flows.judge.gate import Check, Decision
from flows.orchestration import artifacts
from flows.orchestration.server import server
from flows.repo import cache_objects, checkout, dvc_graph, model_versions, recorded_figures
from flows.repo.git import Git
from flows.repo.lineage import Lineage
from flows.repo.lock_file import Record, few, flatten
from flows.repo.model_versions import GENERATOR, ROLLBACK, Version
from flows.repo.worktree import worktree
from flows.system import logs, pinned_environments
from flows.system.exit_status import ending
from flows.system.machine_lock import machine_slot
from flows.system.processes import Commands, last_line
from flows.system.variables import environment
from flows.tasks.rebuild import recorded
from gan import paths
from gan.errors import UserError
from gan.files import RUNS, read_json
from gan.metric_table import Z
from gan.runtime.packages import Differing
from gan.runtime.packages import read as read_pins
from gan.yaml12 import parse_yaml

EXTRACTOR, HELD_OUT, SAMPLES = str(paths.EXTRACTOR), str(paths.TEST_SET), str(paths.SAMPLES)
REFUSED = 3  # exit status


@flow(name="promote", flow_run_name="promote {revision}")
def promote(
    revision: str = "HEAD",
    root: str = ".",
    regardless: str | None = None,
    git_remote: str | None = None,
    unpinned: bool = False,
) -> Decision:
    """Hold a revision's model to the gate, and register it as the next version where it passes.

    ``regardless``: a reason to promote it whatever the gate says, kept in the version's tag.
    ``git_remote``: where to push the tag, once its data are in the DVC remote. Of the champion, whose tag
    could not be pushed before, this is all that is done. ``unpinned``: go on where packages, today's or
    those that made the model, are not as packages.yaml pins them. Raises UserError where the revision
    recorded nothing, or what is to be compared or pushed cannot be.
    """
    logs.shorten()
    return hold_to_gate(Git(checkout.project(root)), revision, regardless, git_remote, unpinned)


def hold_to_gate(
    git: Git, revision: str, regardless: str | None, git_remote: str | None, unpinned: bool = False
) -> Decision:
    """Do what `promote` does, in whatever run surrounds the caller."""
    push.check_remotes(git, git_remote)
    push.fetch_versions(git, git_remote)
    candidate = model_versions.resolve(git, revision)
    record = recorded(git, candidate)
    if (
        git_remote is not None
        and regardless is None
        and push.half_published(git, candidate.commit, git_remote)
    ):
        push.publish(git, git_remote)
        name = model_versions.versions(git)[-1].name
        return Decision(revision, candidate.commit, None, [], name, published=True)
    # Nobody else promotes meanwhile: the champion stays the one that was compared with.
    with machine_slot(git.root, what="gate"), worktree(git, candidate.commit, "promote") as tree:
        rules = checkout.params(tree, revision).gate
        other = pinned_environments.hold(tree, unpinned)
        metrics = _metrics(tree, revision)
        champion = model_versions.champion(git)
        checks = gate.own_checks(rules, metrics, _faults(git, candidate.commit, record, tree))
        checks += _packages(tree, other, unpinned)
        comparison: dict[str, Any] = {}
        generator_hash = record.outputs().get(GENERATOR, ("", ""))[1]
        if (taken := model_versions.taken_back(git).get(generator_hash)) is not None:
            checks.append(Check("taken back", f"this is {taken}", "another model, or --regardless", False))
        if champion is not None:
            theirs = recorded(git, git.resolve(champion.commit))
            if generator_hash and theirs.outputs().get(GENERATOR, ("", ""))[1] == generator_hash:
                checks.append(Check("new", f"{champion.name} is this very model", "another one", False))
            else:
                files = _bring(git, candidate.commit, revision, record, [EXTRACTOR, HELD_OUT, SAMPLES])
                files += _bring(git, champion.commit, champion.name, theirs, [SAMPLES])
                comparison = _compare(tree, files, unpinned)
                checks += gate.against_champion(rules, comparison, champion)
        decision = Decision(revision, candidate.commit, champion.name if champion else None, checks)
        decision = _register(git, decision, regardless)
        artifacts.metrics(*_beside(git, candidate.commit, champion, comparison))
    _tell(decision)
    if decision.version is not None and git_remote is not None:
        push.publish(git, git_remote)
    return decision


@flow(name="rollback")
def rollback(root: str = ".", git_remote: str | None = None) -> Version:
    """Make the model before the champion the champion again, as a version of its own; return that.

    Raises UserError where there was none before.
    """
    logs.shorten()
    git = Git(checkout.project(root))
    push.check_remotes(git, git_remote)
    push.fetch_versions(git, git_remote)
    with machine_slot(git.root, what="gate"):  # nothing is promoted between the look and the tag
        earlier = model_versions.before(git)
        bad = model_versions.versions(git)[-1]
        message = f"{ROLLBACK}{earlier.name} again ({earlier.commit[:10]}), in the place of {bad.name}\n"
        number = model_versions.following(git, patch=True)
        version = model_versions.register(git, earlier.commit, number, message)
    logs.logger().info("%s is %s again, in the place of %s", version.name, earlier.name, bad.name)
    artifacts.event("rolled-back", {"version": version.name, "was": earlier.name, "bad": bad.name})
    if git_remote is not None:
        push.publish(git, git_remote)
    return version


def _register(git: Git, decision: Decision, regardless: str | None) -> Decision:
    """Return the decision with the version that it led to, if it did."""
    if decision.refused and regardless is None:
        return decision
    number = model_versions.following(git)
    reason = regardless if decision.refused else None
    promoted = replace(decision, version=model_versions.name(number), regardless=reason)
    model_versions.register(git, decision.commit, number, promoted.message())
    return promoted


def _metrics(tree: Path, revision: str) -> dict[str, Any]:
    path = recorded_figures.in_folder(tree)
    if path is None:
        raise UserError(f"{revision}: has no {paths.EVALUATION}; only what was evaluated can be promoted")
    metrics = read_json(path)
    return metrics if isinstance(metrics, dict) else {}


def _faults(git: Git, commit: str, record: Record, tree: Path) -> list[str]:
    """Return what speaks against a record: stages without one, params and code that are not those of it."""
    faults = []
    stages = [name for name in dvc_graph.plan(tree) if not name.endswith(".dvc")]
    if absent := [name for name in stages if name not in record.stages]:
        faults.append(f"no record of {few(absent)}")
    now = flatten(parse_yaml((tree / paths.PARAMS).read_text(encoding="utf-8")))
    if other := [key for key, value in record.params().items() if key in now and now[key] != value]:
        faults.append(f"recorded with another {few(other)}")
    pins = tree / paths.PINS
    now_pinned = read_pins(pins) if pins.is_file() else {}
    if other := [name for name, pin in record.packages().items() if now_pinned.get(name) != pin]:
        faults.append(f"recorded with another {few(other)}")
    sources = record.sources()
    tracked = git.tracked(commit, sources)
    here = [path for path in sorted(tracked) if (tree / path).exists()]
    if differ := [path for path in here if cache_objects.md5_source(tree / path) != sources[path]]:
        faults.append(f"recorded with another {few(differ)}")
    return faults


def _bring(git: Git, commit: str, name: str, record: Record, paths: Sequence[str]) -> list[Path]:
    """Return where the cache keeps these outputs of a revision, fetched where it lacked them.

    Raises UserError naming what is missing or corrupt.
    """
    outputs, cache = record.outputs(), dvc_graph.cache_folder(git.root)
    if absent := [path for path in paths if path not in outputs]:
        raise UserError(f"{name}: recorded no {', '.join(absent)}; only what was evaluated can be compared")
    wanted = {path: outputs[path][1] for path in paths}
    faults, reason = cache_objects.bring(git.root, commit, wanted, [outputs[path][0] for path in paths])
    where = f"{name}: neither in the cache nor in the remote ({reason})"
    cache_objects.refuse(faults, where, f"`python -m flows.reproduce {name} --restore` makes them anew")
    return [cache_objects.object_path(cache, md5) for md5 in wanted.values()]


def _packages(tree: Path, here: Differing, accepted: bool) -> list[Check]:
    """Return a check where packages are not as pinned: those that made the model, and those that compare."""
    ran = pinned_environments.unpinned(recorded_figures.read(tree))
    if here:
        ran = ran | {"here": {name: version for name, (_, version) in here.items()}}
    if not ran:
        return []
    texts = "; ".join(pinned_environments.as_texts(ran))
    return [Check("packages", texts, "those pinned, or --unpinned", accepted)]


def _compare(tree: Path, files: Sequence[Path], unpinned: bool) -> dict[str, Any]:
    """Run gan.evaluation.compare in the candidate's checkout; return what it wrote. Raises UserError."""
    target, lines = tree / RUNS / "compare.json", list[str]()
    argv = [sys.executable, "-m", "gan.evaluation.compare", *map(os.fspath, files), os.fspath(target)]
    variables = environment(tree) | pinned_environments.stage_variables(unpinned)
    if Commands(tree, variables).run(argv, lines.append):
        message = last_line(lines)
        raise UserError(f"the models could not be compared: {message.removeprefix('error: ')}")
    comparison = read_json(target)
    return dict(comparison)


def _beside(
    git: Git, commit: str, champion: Version | None, comparison: dict[str, Any]
) -> tuple[list[dict[str, str]], str]:
    """Return rows of metrics beside the champion's, and what they are.

    Scores of two extractors do not compare: then only what gan.evaluation.compare measured anew
    stands beside.
    """
    lineage = Lineage(git)
    ours = lineage.entry(commit)
    theirs = lineage.entry(champion.commit) if champion else None
    same = theirs and theirs.same_scorer(ours)
    rows = [
        {
            "metric": f"kernel distance, {kind}",
            "this": f"{scores['candidate']:.3g} ± {Z * scores['candidate_sd']:.2g}",
        }
        | {"champion": f"{scores['champion']:.3g} ± {Z * scores['champion_sd']:.2g}"}
        for kind, scores in comparison.items()
        if isinstance(scores, dict) and "candidate_sd" in scores
    ]
    beside = theirs.metric_texts() if theirs and same else {}
    rows += [
        {"metric": key, "this": value, "champion": beside.get(key, "by another extractor" if theirs else "")}
        for key, value in ours.metric_texts().items()
    ]
    return rows, f"Metrics against {champion.name}" if champion else "Metrics; there is no champion yet"


def _tell(decision: Decision) -> None:
    log = logs.logger()
    (log.info if decision.version else log.warning)("%s", decision.headline())
    artifacts.decision(decision)
    name = "gate.promoted" if decision.version else "gate.refused"
    artifacts.event(name, {"message": decision.headline(), **decision.as_json()})


def summary(decision: Decision) -> str:
    """Return what the terminal shows of a decision."""
    wide = max((len(check.name) for check in decision.checks), default=0)
    rows = [
        f"  {'holds' if check.holds else 'FAILS'}  {check.name:<{wide}}  {check.observed}"
        f"  (wanted: {check.wanted})"
        for check in decision.checks
    ]
    return "\n".join(["", *rows, "", decision.headline()])


def listing(git: Git) -> str:
    """Return every version, the highest last, and what its tag says first."""
    versions = model_versions.versions(git)
    if not versions:
        return "no version yet: `python -m flows.promote REVISION` makes the first"
    rows = []
    for version in versions:
        subject = git.ask("for-each-ref", "--format=%(contents:subject)", f"refs/tags/{version.tag}") or ""
        rows.append(f"  {version.name:<8} {version.commit[:10]}  {subject}")
    return "\n".join([*rows, f"\nthe champion is {versions[-1].tag}"])


def main(arguments: Namespace | None = None) -> None:
    """Promote, roll back or list from the command line."""
    asked = arguments or command_table.arguments("promote")
    with ending():
        git = Git(checkout.project("."))
        if asked.list:
            print(listing(git))
            return
        if asked.rollback:
            model_versions.before(git)  # said before a server is started
            with server():
                version = rollback(".", asked.git_remote)
            print(f"the champion is {version.tag} ({version.commit[:10]})")
            return
        revision = asked.revision or "HEAD"
        recorded(git, git.resolve(revision))
        with server():
            decision = promote(revision, ".", asked.regardless, asked.git_remote, asked.unpinned)
    print(summary(decision), flush=True)
    sys.exit(0 if decision.version else REFUSED)


if __name__ == "__main__":
    main()
