"""Any past experiment, rebuilt and compared with its record: `python -m flows.reproduce REVISION`.

The revision is checked out beside the checkout at hand, its stages run again in the environment that
it locks, and the hash of each output is held to the one in its dvc.lock.
"""

import os
import shutil
import sys
from argparse import Namespace
from pathlib import Path

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.front_door import command_table
from flows.front_door.record_options import TOLERANCE
from flows.judge import differences
from flows.judge.rebuild_verdict import (
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
from flows.orchestration import artifacts, run_context
from flows.orchestration.server import server
from flows.repo import checkout, dvc_graph, model_versions
from flows.repo.git import Git
from flows.repo.lock_file import LOCK
from flows.repo.worktree import worktree
from flows.system import logs
from flows.system.exit_status import ending
from flows.system.machine_lock import machine_slot
from flows.system.pinned_environments import stage_variables
from flows.system.variables import environment
from flows.tasks.rebuild import Rebuild, again, recorded
from flows.tasks.stage_tasks import AFRESH, How, run_stages
from gan import paths
from gan.errors import UserError
from gan.files import CHECKOUT, RUNS, naming, write_json, write_text


@flow(
    name="reproduce",
    flow_run_name="reproduce {revision}",
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    on_failure=[run_context.tell],
    on_crashed=[run_context.tell],
)
def reproduce(
    revision: str = "HEAD",
    root: str = ".",
    stage: str | None = None,
    same_environment: bool = False,
    trust_cache: bool = False,
    tolerance: float = TOLERANCE,
    keep: str | None = None,
    restore: bool = False,
) -> Verdict:
    """Rebuild a revision and compare every output with its dvc.lock.

    ``revision`` is a tag, branch, commit, experiment or promoted version. From ``stage`` on: what
    comes before is taken as recorded. ``same_environment``: today's packages, whatever it pins.
    ``trust_cache``: run only what the cache and the remote lack. ``tolerance``: of metrics, where the
    hardware differs. ``keep``: a new folder for what was rebuilt. ``restore``: put what came
    out as recorded into the cache, where that lacks or spoils it. The checkout is left as it is.
    Raises UserError when it cannot be done; a failing stage is a verdict.
    """
    logs.shorten()
    if (late := run_context.superseded()) is not None:
        return late  # type: ignore[return-value]  # a state, for Prefect to end the run in
    folder = checkout.project(root)
    git = Git(folder)
    resolved = model_versions.resolve(git, revision)
    record = recorded(git, resolved)
    if keep is not None:
        _check_empty(Path(keep))
    logs.logger().info(
        "%s is %s%s", revision, resolved.commit[:10], f" ({resolved.note})" if resolved.note else ""
    )
    with worktree(git, resolved.commit, "reproduce") as tree:
        rebuild = Rebuild(git, resolved, record, checkout.project(str(tree)))
        verdict = _verdict(rebuild, stage, same_environment, trust_cache, tolerance)
        write(folder, verdict)
        if restore:
            count = rebuild.restore(verdict.outputs)
            logs.logger().info("restored %d objects in the cache", count)
        if keep is not None:
            _keep(rebuild, Path(keep))
    for row in verdict.differences:
        logs.logger().warning("%s: %s: %s", row.stage, row.kind, row.what)
    artifacts.verdict(verdict)
    if run_context.deployed() and verdict.verdict in (DIFFERENT, FAILED, NOT_RECORDED):
        raise UserError(verdict.headline())  # nobody reads a return value there
    return verdict


def _verdict(
    rebuild: Rebuild, start: str | None, same_environment: bool, trust_cache: bool, tolerance: float
) -> Verdict:
    git, commit, tree = rebuild.git, rebuild.revision.commit, rebuild.tree
    plan = dvc_graph.plan(tree)
    stages = again(plan, start, rebuild.revision.name)
    before = {name for stage in stages for name in plan[stage]} - set(stages)
    rebuild.bring(sorted(before), all_of_them=True)
    if trust_cache:
        rebuild.bring(stages, all_of_them=False)
    python, description, unmet = rebuild.interpreter(same_environment)
    (tree / differences.BEFORE).unlink(missing_ok=True)  # revisions that had it say there where they ran
    variables = environment(tree, python=python) | {CHECKOUT: os.fspath(git.root)}
    variables |= stage_variables(same_environment)
    how = How(variables, () if trust_cache else AFRESH)
    with machine_slot(git.root):
        outcomes = run_stages({name: plan[name] for name in stages}, tree, how)
    facts = differences.machines(git, commit, rebuild.record, tree)
    other_hardware = differences.other_hardware(facts)
    outputs, fresh = rebuild.judge(outcomes, tolerance if other_hardware else None)
    result, first = overall(outputs, dvc_graph.figures(tree), other_hardware), first_stage(outputs, stages)
    differing = differences.in_record(git, commit, rebuild.record, fresh, stages)
    differing += [
        row for row in differences.in_packages(git, commit, unmet, rebuild.record) if row.stage in stages
    ]
    # Other packages and the machine are the same for all stages: they matter where bits first differ.
    differing += differences.in_environment(git, commit, unmet, rebuild.record, first or "all")
    differing += differences.in_machine(facts, first or "all")
    if first and result in (DIFFERENT, WITHIN):
        differing += differences.unexplained(first, differing, rebuild.record)
    options = {"--stage": start, "--same-environment": same_environment, "--trust-cache": trust_cache}
    return Verdict(
        rebuild.revision.name,
        commit,
        rebuild.revision.note,
        result,
        first,
        outputs,
        differing,
        {row.stage: row.reason or row.outcome for row in outcomes},
        facts,
        description,
        tolerance,
        [name if value is True else f"{name} {value}" for name, value in options.items() if value],
    )


def written(folder: Path, commit: str) -> Path:
    """Return where the verdict on a commit is."""
    return folder / RUNS / "reproduce" / commit


def write(folder: Path, verdict: Verdict) -> None:
    """Write the verdict as JSON and as a page."""
    target = written(folder, verdict.commit)
    write_json(target / "verdict.json", verdict.as_json())
    write_text(target / "verdict.md", markdown(verdict))


def _check_empty(folder: Path) -> None:
    """Make a folder, so that a place that cannot be written is known before hours have passed."""
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"--keep: {folder}: is not empty; name a new folder")


def _keep(rebuild: Rebuild, target: Path) -> None:
    """Move what was rebuilt, and the verdict, to a new folder."""
    made = dvc_graph.outputs(rebuild.tree)
    for name in [path for path in (*made, LOCK, str(paths.PARAMS)) if (rebuild.tree / path).exists()]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(rebuild.tree / name, target / name)
    shutil.copytree(written(rebuild.git.root, rebuild.revision.commit), target, dirs_exist_ok=True)


def recordings(git: Git) -> list[str]:
    """Return every commit up to HEAD in which dvc.lock changed, the newest first."""
    return (git.ask("log", "--format=%H", "--diff-filter=AM", "HEAD", "--", LOCK) or "").split()


def main(arguments: Namespace | None = None) -> None:
    """Rebuild revisions from the command line."""
    asked = arguments or command_table.arguments("reproduce")
    with ending():
        folder = checkout.project(".")
        git = Git(folder)
        revisions = recordings(git) if asked.every else asked.revision
        for name in revisions:  # a typo in the last is said before the first is rebuilt
            recorded(git, model_versions.resolve(git, name))
        with server():
            verdicts = [_one(name, folder, asked) for name in revisions]
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


def _one(name: str, folder: Path, arguments: Namespace) -> Verdict:
    verdict = reproduce(
        name,
        str(folder),
        arguments.stage,
        arguments.same_environment,
        arguments.trust_cache,
        arguments.tolerance,
        arguments.keep,
        arguments.restore,
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


if __name__ == "__main__":
    main()
