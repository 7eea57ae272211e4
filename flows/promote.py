"""May a revision's model become the champion? `python -m flows.promote REVISION`, or `--rollback`.

Its samples and the champion's are held against the same held-out images, the revision's, through the
same extractor. A better one is registered as a version (a GTO tag); a refusal says why.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow

from flows import gate, graph, logs, objects, places, registry, show
from flows.command_line import Parser, ending
from flows.commands import Commands
from flows.environment import environment
from flows.gate import Check, Decision
from flows.git import Git
from flows.lineage import METRICS, Lineage
from flows.rebuild import recorded
from flows.record import Record, few, flatten
from flows.registry import Version
from flows.server import server
from flows.turn import turn
from flows.worktree import worktree
from gan import params as parameters
from gan.errors import UserError
from gan.files import RUNS, read_json

EXTRACTOR, HELD_OUT = "models/extractor.safetensors", "data/prepared/test.safetensors"
SAMPLES, GENERATOR = "samples/samples.safetensors", "models/generator.safetensors"
REFUSED = 3  # exit status


@flow(name="promote", flow_run_name="promote {revision}")
def promote(
    revision: str = "HEAD", root: str = ".", regardless: str | None = None, git_remote: str | None = None
) -> Decision:
    """Hold a revision's model to the gate, and register it as the next version where it passes.

    ``regardless``: a reason to promote it whatever the gate says, kept in the version's tag.
    ``git_remote``: where to push the tag. Raises UserError where the revision recorded nothing, or what
    is to be compared is nowhere to be had.
    """
    logs.shorten()
    return hold_to_gate(Git(places.project(root)), revision, regardless, git_remote)


def hold_to_gate(git: Git, revision: str, regardless: str | None, git_remote: str | None) -> Decision:
    """Do what `promote` does, in whatever run surrounds the caller."""
    found = registry.resolve(git, revision)
    record = recorded(git, found)
    # Nobody else promotes meanwhile: the champion stays the one that was compared with.
    with turn(git.root, what="gate"), worktree(git, found.commit, "promote") as tree:
        rules = places.params(tree, revision).gate
        metrics = _metrics(tree, revision)
        champion = registry.champion(git)
        checks = gate.own_checks(rules, metrics, _faults(git, found.commit, record, tree))
        comparison: dict[str, Any] = {}
        if champion is not None:
            theirs = recorded(git, git.resolve(champion.commit))
            if theirs.outputs().get(GENERATOR) == record.outputs().get(GENERATOR):
                checks.append(Check("new", f"{champion.name} is this very model", "another one", False))
            else:
                files = _bring(git, found.commit, revision, record, [EXTRACTOR, HELD_OUT, SAMPLES])
                files += _bring(git, champion.commit, champion.name, theirs, [SAMPLES])
                comparison = _compare(tree, files)
                checks += gate.against_champion(rules, comparison, champion)
        decision = Decision(revision, found.commit, champion.name if champion else None, checks)
        decision = _register(git, decision, regardless)
        show.metrics(*_beside(git, found.commit, champion, comparison))
    if decision.version is not None and git_remote is not None:
        git.push(git_remote, f"refs/tags/{registry.versions(git)[-1].tag}")
    _tell(decision)
    return decision


@flow(name="rollback")
def rollback(root: str = ".", git_remote: str | None = None) -> Version:
    """Make the model before the champion the champion again, as a version of its own; return that.

    Raises UserError where there was none before.
    """
    logs.shorten()
    git = Git(places.project(root))
    earlier = registry.before(git)
    bad = registry.versions(git)[-1]
    message = f"Rollback: {earlier.name} again ({earlier.commit[:10]}), in the place of {bad.name}\n"
    version = registry.register(git, earlier.commit, registry.following(git, patch=True), message)
    if git_remote is not None:
        git.push(git_remote, f"refs/tags/{version.tag}")
    logs.logger().info("%s is %s again, in the place of %s", version.name, earlier.name, bad.name)
    show.event("rolled-back", {"version": version.name, "was": earlier.name, "bad": bad.name})
    return version


def _register(git: Git, decision: Decision, regardless: str | None) -> Decision:
    """Return the decision with the version that it led to, if it did."""
    if decision.refused and regardless is None:
        return decision
    number = registry.following(git)
    reason = regardless if decision.refused else None
    promoted = replace(decision, version=registry.name(number), regardless=reason)
    registry.register(git, decision.commit, number, promoted.message())
    return promoted


def _metrics(tree: Path, revision: str) -> dict[str, Any]:
    path = tree / METRICS
    if not path.exists():
        raise UserError(f"{revision}: has no {METRICS}; only what was evaluated can be promoted")
    found = read_json(path)
    return found if isinstance(found, dict) else {}


def _faults(git: Git, commit: str, record: Record, tree: Path) -> list[str]:
    """Return what speaks against a record: stages without one, params and code that are not those of it."""
    found = []
    stages = [name for name in graph.plan(tree) if not name.endswith(".dvc")]
    if absent := [name for name in stages if name not in record.stages]:
        found.append(f"no record of {few(absent)}")
    now = flatten(parameters.parse((tree / "params.yaml").read_text(encoding="utf-8")))
    if other := [key for key, value in record.params().items() if key in now and now[key] != value]:
        found.append(f"recorded with another {few(other)}")
    sources = record.sources()
    tracked = git.tracked(commit, sources)
    differ = [path for path in sorted(tracked) if (tree / path).is_file()]
    if differ := [path for path in differ if objects.md5_file(tree / path) != sources[path]]:
        found.append(f"recorded with another {few(differ)}")
    return found


def _bring(git: Git, commit: str, name: str, record: Record, paths: Sequence[str]) -> list[Path]:
    """Return where the cache keeps these outputs of a revision, fetched where it lacked them.

    Raises UserError naming what is missing or corrupt.
    """
    outputs, cache = record.outputs(), graph.cache_folder(git.root)
    if absent := [path for path in paths if path not in outputs]:
        raise UserError(f"{name}: recorded no {', '.join(absent)}; only what was evaluated can be compared")
    wanted = {path: outputs[path][1] for path in paths}
    if faults := objects.check(cache, wanted):
        said = graph.fetch(git.root, commit, [outputs[path][0] for path in paths])
        faults = objects.check(cache, wanted)
        where = f"{name}: neither in the cache nor in the remote ({said or 'it lacks them'})"
        objects.refuse(faults, where, f"`python -m flows.reproduce {name}` makes them, or `dvc fetch`")
    return [objects.place(cache, md5) for md5 in wanted.values()]


def _compare(tree: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Run gan.compare in the candidate's checkout; return what it wrote. Raises UserError."""
    target, lines = tree / RUNS / "compare.json", list[str]()
    argv = [sys.executable, "-m", "gan.compare", *map(os.fspath, files), os.fspath(target)]
    if Commands(tree, environment(tree)).run(argv, lines.append):
        said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise UserError(f"the models could not be compared: {said.removeprefix('error: ')}")
    found = read_json(target)
    return dict(found)


def _beside(
    git: Git, commit: str, champion: Version | None, comparison: dict[str, Any]
) -> tuple[list[dict[str, str]], str]:
    """Return rows of metrics beside the champion's, and what they are.

    Scores of two extractors do not compare: then only what gan.compare measured anew stands beside.
    """
    lineage = Lineage(git)
    ours = lineage.entry(commit)
    theirs = lineage.entry(champion.commit) if champion else None
    same = theirs and theirs.same_scorer(ours)
    rows = [
        {
            "metric": f"kernel distance, {kind}",
            "this": f"{part['candidate']:.3g} ± {1.96 * part['candidate_sd']:.2g}",
        }
        | {"champion": f"{part['champion']:.3g} ± {1.96 * part['champion_sd']:.2g}"}
        for kind, part in comparison.items()
        if isinstance(part, dict) and "candidate_sd" in part
    ]
    beside = theirs.shown() if theirs and same else {}
    rows += [
        {"metric": key, "this": value, "champion": beside.get(key, "by another extractor" if theirs else "")}
        for key, value in ours.shown().items()
    ]
    return rows, f"Metrics against {champion.name}" if champion else "Metrics; there is no champion yet"


def _tell(decision: Decision) -> None:
    log = logs.logger()
    (log.info if decision.version else log.warning)("%s", decision.headline())
    show.decision(decision)
    name = "gate.promoted" if decision.version else "gate.refused"
    show.event(name, {"message": decision.headline(), **decision.as_json()})


def summary(decision: Decision) -> str:
    """Return what the terminal shows of a decision."""
    wide = max(len(check.name) for check in decision.checks)
    rows = [
        f"  {'holds' if check.holds else 'FAILS'}  {check.name:<{wide}}  {check.observed}"
        f"  (wanted: {check.wanted})"
        for check in decision.checks
    ]
    return "\n".join(["", *rows, "", decision.headline()])


def listing(git: Git) -> str:
    """Return every version, the highest last, and what its tag says first."""
    found = registry.versions(git)
    if not found:
        return "no version yet: `python -m flows.promote REVISION` makes the first"
    rows = []
    for version in found:
        said = git.ask("for-each-ref", "--format=%(contents:subject)", f"refs/tags/{version.tag}") or ""
        rows.append(f"  {version.name:<8} {version.commit[:10]}  {said}")
    return "\n".join([*rows, f"\nthe champion is {found[-1].tag}"])


def main() -> None:
    """Promote, roll back or list from the command line."""
    parser = Parser(prog="python -m flows.promote", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("revision", nargs="?", help="tag, branch, commit or experiment; HEAD")
    parser.add_argument("--rollback", action="store_true", help="the model before the champion is it again")
    parser.add_argument("--list", action="store_true", help="every version")
    parser.add_argument(
        "--regardless", metavar="REASON", help="promote whatever the gate says; the reason is kept"
    )
    parser.add_argument("--git-remote", metavar="NAME", help="push the version's tag there")
    arguments = parser.parse_args()
    if (arguments.rollback or arguments.list) and (arguments.revision or arguments.regardless):
        parser.error("--rollback and --list take no revision and no reason")
    with ending():
        git = Git(places.project("."))
        if arguments.list:
            print(listing(git))
            return
        if arguments.rollback:
            registry.before(git)  # said before a server is started
            with server():
                version = rollback(".", arguments.git_remote)
            print(f"the champion is {version.tag} ({version.commit[:10]})")
            return
        revision = arguments.revision or "HEAD"
        recorded(git, git.resolve(revision))
        with server():
            decision = promote(revision, ".", arguments.regardless, arguments.git_remote)
    print(summary(decision), flush=True)
    sys.exit(0 if decision.version else REFUSED)


if __name__ == "__main__":
    main()
