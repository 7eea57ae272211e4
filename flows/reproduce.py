"""Any past experiment, rebuilt and compared with its record: `python -m flows.reproduce REVISION`.

The revision is checked out beside the checkout at hand, its stages run again in the environment that
it locks, and the hash of each output is held to the one in its dvc.lock.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows import difference, graph, logs, places, registry, runs, show
from flows.command_line import Parser, ending
from flows.environment import environment
from flows.git import Git
from flows.rebuild import Rebuild, again, recorded
from flows.record import LOCK
from flows.server import server
from flows.stages import AFRESH, How, run_stages
from flows.turn import turn
from flows.verdict import (
    DIFFERENT,
    FAILED,
    IDENTICAL,
    NOT_RECORDED,
    STATUS,
    WITHIN,
    Verdict,
    first_stage,
    markdown,
    overall,
)
from flows.worktree import worktree
from gan import machine
from gan.errors import UserError
from gan.files import CHECKOUT, RUNS, naming, write_json, write_text

TOLERANCE = 0.05


@flow(
    name="reproduce",
    flow_run_name="reproduce {revision}",
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    on_failure=[runs.tell],
    on_crashed=[runs.tell],
)
def reproduce(
    revision: str = "HEAD",
    root: str = ".",
    stage: str | None = None,
    same_environment: bool = False,
    trust_cache: bool = False,
    tolerance: float = TOLERANCE,
    keep: str | None = None,
) -> Verdict:
    """Rebuild a revision and compare every output with its dvc.lock.

    ``revision`` is a tag, branch, commit, experiment or promoted version. From ``stage`` on: what
    comes before is taken as recorded. ``same_environment``: today's packages, whatever it pins.
    ``trust_cache``: run only what the cache and the remote lack. ``tolerance``: of metrics, where the
    hardware differs. ``keep``: a new folder for what was rebuilt. The checkout is left as it is.
    Raises UserError when it cannot be done; a failing stage is a verdict.
    """
    logs.shorten()
    if (late := runs.superseded()) is not None:
        return late  # type: ignore[return-value]  # a state, for Prefect to end the run in
    folder = places.project(root)
    git = Git(folder)
    found = registry.resolve(git, revision)
    record = recorded(git, found)
    if keep is not None:
        _check_empty(Path(keep))
    logs.logger().info("%s is %s%s", revision, found.commit[:10], f" ({found.note})" if found.note else "")
    with worktree(git, found.commit, "reproduce") as tree:
        rebuild = Rebuild(git, found, record, places.project(str(tree)))
        verdict = _verdict(rebuild, stage, same_environment, trust_cache, tolerance)
        write(folder, verdict)
        if keep is not None:
            _keep(rebuild, Path(keep))
    for row in verdict.differences:
        logs.logger().warning("%s: %s: %s", row.stage, row.kind, row.what)
    show.verdict(verdict)
    if runs.deployed() and verdict.verdict in (DIFFERENT, FAILED, NOT_RECORDED):
        raise UserError(verdict.headline())  # nobody reads a return value there
    return verdict


def _verdict(
    rebuild: Rebuild, start: str | None, same_environment: bool, trust_cache: bool, tolerance: float
) -> Verdict:
    git, commit, tree = rebuild.git, rebuild.revision.commit, rebuild.tree
    plan = graph.plan(tree)
    stages = again(plan, start, rebuild.revision.name)
    before = {name for stage in stages for name in plan[stage]} - set(stages)
    rebuild.bring(sorted(before), all_of_them=True)
    if trust_cache:
        rebuild.bring(stages, all_of_them=False)
    python, words, unmet = rebuild.interpreter(same_environment)
    (tree / machine.MACHINE).unlink(missing_ok=True)  # `train` says where it ran
    variables = environment(tree, python=python) | {CHECKOUT: os.fspath(git.root)}
    how = How(variables, () if trust_cache else AFRESH)
    with turn(git.root):
        outcomes = run_stages({name: plan[name] for name in stages}, tree, how)
    facts = difference.machines(git, commit, tree)
    other_hardware = difference.other_hardware(facts)
    outputs, fresh = rebuild.judge(outcomes, tolerance if other_hardware else None)
    result, first = overall(outputs, graph.metrics(tree), other_hardware), first_stage(outputs, stages)
    differences = difference.in_record(git, commit, rebuild.record, fresh, stages)
    # Packages and machine are the same for all stages: they matter where bits first differ.
    differences += difference.in_environment(git, commit, unmet, first or "all")
    differences += difference.in_machine(facts, first or "all")
    if first and result in (DIFFERENT, WITHIN):
        differences += difference.unexplained(first, differences, rebuild.record)
    options = {"--stage": start, "--same-environment": same_environment, "--trust-cache": trust_cache}
    return Verdict(
        rebuild.revision.name,
        commit,
        rebuild.revision.note,
        result,
        first,
        outputs,
        differences,
        {row.stage: row.reason or row.outcome for row in outcomes},
        facts,
        words,
        tolerance,
        [name if value is True else f"{name} {value}" for name, value in options.items() if value],
    )


def written(folder: Path, commit: str) -> Path:
    """Return where the verdict on a commit is."""
    return folder / RUNS / "reproduce" / commit


def write(folder: Path, verdict: Verdict) -> None:
    """Write the verdict as JSON and as a page."""
    place = written(folder, verdict.commit)
    write_json(place / "verdict.json", verdict.as_json())
    write_text(place / "verdict.md", markdown(verdict))


def _check_empty(folder: Path) -> None:
    """Make a folder, so that a place that cannot be written is known before hours have passed."""
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"--keep: {folder}: is not empty; name a new folder")


def _keep(rebuild: Rebuild, target: Path) -> None:
    """Move what was rebuilt, and the verdict, to a new folder."""
    made = graph.outputs(rebuild.tree)
    for name in [path for path in (*made, LOCK, "params.yaml") if (rebuild.tree / path).exists()]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(rebuild.tree / name, target / name)
    shutil.copytree(written(rebuild.git.root, rebuild.revision.commit), target, dirs_exist_ok=True)


def recordings(git: Git) -> list[str]:
    """Return every commit up to HEAD in which dvc.lock changed, the newest first."""
    return (git.ask("log", "--format=%H", "--diff-filter=AM", "HEAD", "--", LOCK) or "").split()


def main() -> None:
    """Rebuild revisions from the command line."""
    arguments = _arguments()
    with ending():
        folder = places.project(".")
        git = Git(folder)
        revisions = recordings(git) if arguments.every else arguments.revision
        for name in revisions:  # a typo in the last is said before the first is rebuilt
            recorded(git, registry.resolve(git, name))
        with server():
            verdicts = [_one(name, folder, arguments) for name in revisions]
    print("\n".join(["", *(f"  {verdict.headline()}" for verdict in verdicts)]), flush=True)
    for verdict in verdicts:
        if verdict.verdict == FAILED:
            sys.exit(
                f"error: {verdict.revision}: stage {verdict.stage} failed: "
                f"{verdict.stages[str(verdict.stage)]}; --stage NAME starts later, from what is recorded"
            )
        if verdict.verdict == NOT_RECORDED:
            sys.exit(
                f"error: {verdict.revision}: nothing that ran is recorded in its {LOCK}: nothing to compare"
            )
    sys.exit(max((STATUS[verdict.verdict] for verdict in verdicts), default=0))


def _one(name: str, folder: Path, arguments: argparse.Namespace) -> Verdict:
    verdict = reproduce(
        name,
        str(folder),
        arguments.stage,
        arguments.same_environment,
        arguments.trust_cache,
        arguments.tolerance,
        arguments.keep,
    )
    print(summary(verdict, folder), flush=True)
    return verdict


def summary(verdict: Verdict, folder: Path) -> str:
    """Return what the terminal shows of a verdict: what differs, and where the whole of it is."""
    off = [output for output in verdict.outputs if output.verdict != IDENTICAL]
    wide = max((len(output.path) for output in off), default=0)
    lines = ["", verdict.headline()]
    lines += [f"  {row.path:<{wide}}  {row.verdict}  {row.note}".rstrip() for row in off]
    lines += [f"  {row.stage}: {row.kind}: {row.what}" for row in verdict.differences]
    report = written(folder, verdict.commit).relative_to(folder) / "verdict.md"
    return "\n".join([*lines, f"  environment  {verdict.environment}", f"  report       {report}", ""])


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m flows.reproduce", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument(
        "revision", nargs="*", help="tag, branch, commit, experiment or promoted version; several go in turn"
    )
    parser.add_argument("--every", action="store_true", help="every commit in which dvc.lock changed")
    parser.add_argument("--stage", metavar="NAME", help="from this stage on; earlier ones as recorded")
    parser.add_argument("--same-environment", action="store_true", help="with today's packages")
    parser.add_argument("--trust-cache", action="store_true", help="run only what cache and remote lack")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="X",
        help=f"of metrics on other hardware, as a share of their size (of 1 if smaller); {TOLERANCE:g}",
    )
    parser.add_argument("--keep", metavar="FOLDER", help="move what was rebuilt to this new folder")
    arguments = parser.parse_args()
    if arguments.every == bool(arguments.revision):
        parser.error("give a revision (or several), or --every")
    if arguments.keep and len(arguments.revision) != 1:
        parser.error("--keep goes with one revision")
    if not 0 <= arguments.tolerance < float("inf"):
        parser.error(f"--tolerance: {arguments.tolerance}: a number of 0 or more")
    return arguments


if __name__ == "__main__":
    main()
