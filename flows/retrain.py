"""A new model by today's data and code, as a revision of its own: `python -m flows.retrain`.

A revision is checked out beside the checkout at hand, its stages run there, and what came of it is
committed to a branch `retrain/<time>`; then the gate decides whether it becomes the champion.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from flows.front_door import command_table
from flows.front_door.flow_options import DELAYS, HOURS
from flows.front_door.record_options import KEPT
from flows.judge.gate import Decision
from flows.judge.stage_outcomes import FAILED, Outcome, PipelineFailed, summary
from flows.orchestration import artifacts, run_context
from flows.orchestration.secrets import hidden_values, plain_values
from flows.orchestration.server import server
from flows.pages import kept_reports
from flows.promote import REFUSED, hold_to_gate
from flows.promote import summary as gate_summary
from flows.push import check_remotes
from flows.repo import checkout, commit, dvc_graph, leftovers, model_versions, param_overrides
from flows.repo.git import Git, Revision
from flows.repo.lock_file import LOCK, few, read_record
from flows.repo.worktree import worktree
from flows.system import logs, pinned_environments
from flows.system.exit_status import ending
from flows.system.machine_lock import machine_slot
from flows.system.processes import Commands, last_line
from flows.system.variables import environment
from flows.tasks.rebuild import Rebuild
from flows.tasks.stage_tasks import How, run_stages
from gan.errors import UserError
from gan.files import CHECKOUT


@dataclass(frozen=True)
class Retrained:
    """What came of a retraining; no branch where nothing changed, no decision without the gate."""

    outcomes: list[Outcome]
    branch: str | None = None
    subject: str = "nothing new: dvc.lock is the same"
    decision: Decision | None = None

    def headline(self) -> str:
        """Return it in one line."""
        return f"{self.branch}: {self.subject}" if self.branch else self.subject


@flow(
    name="retrain",
    flow_run_name=run_context.retrain_name,
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    on_failure=[run_context.tell],
    on_crashed=[run_context.tell],
)
def retrain(
    revision: str = "HEAD",
    root: str = ".",
    params: dict[str, Any] | None = None,
    refresh_data: bool = False,
    gate: bool = True,
    git_remote: str | None = None,
    hours: float = HOURS,
    delays: Sequence[float] = DELAYS,
    unpinned: bool = False,
    keep: int = KEPT,
) -> Retrained:
    """Run a revision's pipeline beside the checkout, commit what came of it, and hold it to the gate.

    ``revision``: HEAD is the tip of the branch that is checked out. ``params``: values by their full
    names (`train.epochs`). ``refresh_data``: download anew, though its params did not change.
    ``gate``: have flows.promote decide whether it becomes the champion. ``git_remote``: where branch and
    version are pushed; data goes to the DVC remote if there is one. ``hours``: the stages get, at most.
    ``delays``: seconds before a download or a push that failed is tried again. ``unpinned``: go on where
    packages are not as packages.yaml pins them. ``keep``: newest retrainings whose reports stay, and whose
    branches do where no tag, other branch or remote has them. Raises UserError.
    """
    logs.shorten()
    if (late := run_context.superseded()) is not None:
        return late  # type: ignore[return-value]  # a state, for Prefect to end the run in
    folder = checkout.project(root)
    git = Git(folder)
    check_remotes(git, git_remote)
    if not 0 < hours < float("inf"):
        raise UserError(f"hours: {hours}: a number above 0")
    with machine_slot(folder):
        base = _base(git, revision)
        param_overrides.check_at(git, base.commit, [(base.name, plain_values(params or {}))])
        branch = f"retrain/{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
        with worktree(git, base.commit, "retrain", run_context.states(folder, "retrain")) as tree:
            param_overrides.apply(tree, plain_values(params or {}), base.name)
            variables = environment(tree) | {CHECKOUT: os.fspath(folder)}
            pinned_environments.hold(tree, unpinned)
            variables |= pinned_environments.stage_variables(unpinned)
            how = How(variables, delays=delays, limit=hours * 3600)
            outcomes = _run(git, base, tree, refresh_data, how)
            with logs.unharmed("the report"):
                artifacts.links(kept_reports.keep(folder, tree, branch))
            if any(row.outcome == FAILED for row in outcomes):
                raise PipelineFailed(outcomes)
            artifacts.grid(tree)
            subject, new = _commit(git, base, tree)
        if not commit.differs(git, base.commit, new):
            logs.logger().info("nothing new: dvc.lock is the same as at %s", base.name)
            return Retrained(outcomes)
        if gate and (same := _champion_again(git, new)):
            logs.logger().info("%s", same)
            return Retrained(outcomes, subject=same)
        if (known := commit.twin(git, "refs/heads/retrain", new)) is not None:
            branch, subject = known, "the same dvc.lock as in this earlier run"
        else:
            commit.create_ref(git, f"refs/heads/{branch}", new, "retrain")
    result = Retrained(outcomes, branch, subject)
    logs.logger().info("%s", result.headline())
    _say_if_moved(git, base, revision)
    unpushed = _push(folder, branch, git_remote, delays)
    remote = None if unpushed else git_remote
    try:
        decision = hold_to_gate(git, branch, None, remote, unpinned) if gate else None
    except UserError as error:
        raise UserError(f"{unpushed}; {error}" if unpushed else str(error)) from None
    _forget(git, keep)
    if unpushed:
        raise UserError(_what_is_left(unpushed, branch, git_remote, decision))
    return replace(result, decision=decision)


def _commit(git: Git, base: Revision, tree: Path) -> tuple[str, str]:
    """Commit what the run made, without a name yet; return what changed in one line, and the commit."""
    subject, text = commit.describe(git, base, tree)
    message = f"retrain: {subject}\n\nFrom {base.name} ({base.commit[:10]}).\n\n{text}\n"
    return subject, commit.write(tree, base.commit, message)


def _champion_again(git: Git, new: str) -> str:
    """Say that a commit's generator is the champion's, byte for byte; empty where it is not."""
    champion = model_versions.champion(git)
    if champion is None:
        return ""
    hashes = model_versions.generators(git, [new, champion.commit])
    same = new in hashes and hashes[new] == hashes.get(champion.commit)
    return f"the champion again: {champion.name}'s generator, byte for byte" if same else ""


def _base(git: Git, revision: str) -> Revision:
    """Find the revision to start from, and say what of the checkout is not in it."""
    base = _revision(git, revision)
    logs.logger().info("%s is %s%s", base.name, base.commit[:10], f" ({base.note})" if base.note else "")
    changed = (
        git.ask("--no-optional-locks", "status", "--porcelain", "--untracked-files=no") or ""
    ).splitlines()
    if changed:
        names = few([line[3:] for line in changed])
        logs.logger().warning("uncommitted changes in the checkout are no part of this: %s", names)
    return base


def _revision(git: Git, revision: str) -> Revision:
    resolved = model_versions.resolve(git, revision)
    branch = git.ask("symbolic-ref", "--short", "--quiet", "HEAD") if revision == "HEAD" else None
    return replace(resolved, name=branch or revision)


def _run(git: Git, base: Revision, tree: Path, refresh_data: bool, how: How) -> list[Outcome]:
    """Put in place what is recorded of the revision, then run what is not up to date."""
    plan = dvc_graph.plan(tree)
    text = git.blob(base.commit, LOCK)
    if text is not None:
        record = read_record(text, base.name)
        known = [name for name in plan if name in record.stages or name.endswith(".dvc")]
        Rebuild(git, base, record, tree).bring(known, all_of_them=False)
    forced = [name for name, needed in plan.items() if not needed and not name.endswith(".dvc")]
    return run_stages(plan, tree, replace(how, forced=forced if refresh_data else ()))


def _forget(git: Git, keep: int) -> None:
    """Remove old reports, and old branches that nothing needs."""
    branches = leftovers.old_branches(git, keep)
    for row in [*branches, *leftovers.old_reports(git, keep, {row.name for row in branches})]:
        row.remove()
        logs.logger().info("removed %s %s (%s)", row.kind, row.name, row.why)


def _say_if_moved(git: Git, base: Revision, revision: str) -> None:
    """Say where the branch has got new commits meanwhile: they are no part of this."""
    now = model_versions.resolve(git, revision).commit
    if now != base.commit:
        count = git.ask("rev-list", "--count", f"{base.commit}..{now}")
        logs.logger().warning(
            "%s has moved since, by %s commits; this is of %s", base.name, count, base.commit[:10]
        )


def _push(folder: Path, branch: str, git_remote: str | None, delays: Sequence[float]) -> str:
    """Push the data, and then the branch; return what stood in the way, empty where nothing did."""
    commands = Commands(folder, environment(folder))
    argv = [sys.executable, "-m", "flows.push", branch]
    argv += [] if git_remote is None else ["--git-remote", git_remote]
    try:
        if git_remote is not None or dvc_graph.has_remote(folder):
            push(commands, argv, "data" if git_remote is None else "data and branch", delays)
    except UserError as error:
        return str(error)
    finally:
        commands.stop()
        commands.wait()
    return ""


def _what_is_left(message: str, branch: str, git_remote: str | None, decision: Decision | None) -> str:
    """Say what could not be pushed, and the command that does it later."""
    pushed = "" if git_remote is None else f" --git-remote {git_remote}"
    again = f"flows.push {branch}{pushed}"
    if decision and decision.version:
        message = f"{message}; it is {decision.version} here all the same"
        again = f"flows.promote {decision.version}{pushed}" if pushed else again
    return (
        f"{message}; nothing is lost: branch and cache have all of it; when the remote is back, "
        f"`python -m {again}`"
    )


@task(name="push", task_run_name="push {what}", cache_policy=NO_CACHE)
def push(commands: Commands, argv: Sequence[str], what: str, delays: Sequence[float]) -> None:
    """Run a command that moves something to a remote, again after each of ``delays``. Raises UserError."""
    message = ""
    for delay in (*delays, None):
        lines: list[str] = []
        if commands.run(argv, lines.append) == 0:
            logs.logger().info("pushed the %s%s", what, f": {lines[-1]}" if lines else "")
            return
        message = last_line(lines)
        message = message.removeprefix("error: ")
        if delay is not None:
            logs.logger().warning("%s; tried again in %g s", message, delay)
            commands.rest(delay)
    raise UserError(message)


def main(arguments: Namespace | None = None) -> None:
    """Retrain from the command line."""
    asked = arguments or command_table.arguments("retrain")
    with ending():
        params = param_overrides.parse_all(asked.set_param)
        git = Git(checkout.project("."))
        base = _revision(git, asked.revision)  # a typo is said before a server is started
        param_overrides.check_at(git, base.commit, [(base.name, params)])
        check_remotes(git, asked.git_remote)
        try:
            with server():
                result = retrain(
                    asked.revision,
                    ".",
                    hidden_values(params),
                    asked.refresh_data,
                    not asked.no_gate,
                    asked.git_remote,
                    asked.hours,
                    asked.delays,
                    asked.unpinned,
                )
        except PipelineFailed as error:
            print(summary(error.outcomes, Path()), flush=True)
            raise
    print(summary(result.outcomes, kept_reports.run_folder(Path(), result.branch or "")))
    print(result.headline(), flush=True)
    if result.decision is not None:
        print(gate_summary(result.decision), flush=True)
        sys.exit(0 if result.decision.version else REFUSED)


if __name__ == "__main__":
    main()
