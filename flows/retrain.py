"""A new model by today's data and code, as a revision of its own: `python -m flows.retrain`.

A revision is checked out beside the checkout at hand, its stages run there, and what came of it is
committed to a branch `retrain/<time>`; then the gate decides whether it becomes the champion.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from flows import commit, graph, logs, overrides, places, registry, runs, shelf, show
from flows.command_line import Parser, ending
from flows.commands import Commands
from flows.environment import environment
from flows.gate import Decision
from flows.git import Git, Revision
from flows.outcome import FAILED, Outcome, PipelineFailed, summary
from flows.promote import REFUSED, hold_to_gate
from flows.promote import summary as gate_summary
from flows.rebuild import Rebuild
from flows.record import LOCK, few, read_record
from flows.server import server
from flows.stages import How, run_stages
from flows.turn import turn
from flows.worktree import worktree
from gan.errors import UserError
from gan.files import CHECKOUT

DELAYS = (10.0, 60.0, 300.0)
HOURS = 48.0


@dataclass(frozen=True)
class Retrained:
    """What came of a retraining; no branch where nothing changed, no decision without the gate."""

    outcomes: list[Outcome]
    branch: str | None = None
    subject: str = ""
    decision: Decision | None = None

    def headline(self) -> str:
        """Return it in one line."""
        return f"{self.branch}: {self.subject}" if self.branch else "nothing new: dvc.lock is the same"


@flow(
    name="retrain",
    flow_run_name=runs.retrain_name,
    task_runner=ThreadPoolTaskRunner(),  # type: ignore[arg-type]
    on_failure=[runs.tell],
    on_crashed=[runs.tell],
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
) -> Retrained:
    """Run a revision's pipeline beside the checkout, commit what came of it, and hold it to the gate.

    ``revision``: HEAD is the tip of the branch that is checked out. ``params``: values by their full
    names (`train.epochs`). ``refresh_data``: download anew, though its params did not change.
    ``gate``: have flows.promote decide whether it becomes the champion. ``git_remote``: where branch and
    version are pushed; data goes to the DVC remote if there is one. ``hours``: the stages get, at most.
    ``delays``: seconds before a download or a push that failed is tried again. Raises UserError.
    """
    logs.shorten()
    if (late := runs.superseded()) is not None:
        return late  # type: ignore[return-value]  # a state, for Prefect to end the run in
    folder = places.project(root)
    git = Git(folder)
    with turn(folder):
        base = _base(git, revision)
        branch = f"retrain/{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
        with worktree(git, base.commit, "retrain", runs.states(folder, "retrain")) as tree:
            overrides.apply(tree, params or {}, base.name)
            how = How(environment(tree) | {CHECKOUT: os.fspath(folder)}, delays=delays, limit=hours * 3600)
            outcomes = _run(git, base, tree, refresh_data, how)
            show.links(shelf.keep(folder, tree, branch))
            if any(row.outcome == FAILED for row in outcomes):
                raise PipelineFailed(outcomes)
            show.grid(tree)
            subject, new = _commit(git, base, tree)
        if not commit.differs(git, base.commit, new):
            logs.logger().info("nothing new: dvc.lock is the same as at %s", base.name)
            return Retrained(outcomes)
        commit.place(git, f"refs/heads/{branch}", new, "retrain")
    found = Retrained(outcomes, branch, subject)
    logs.logger().info("%s", found.headline())
    _say_if_moved(git, base, revision)
    _push(folder, branch, git_remote, delays)
    return replace(found, decision=hold_to_gate(git, branch, None, git_remote)) if gate else found


def _commit(git: Git, base: Revision, tree: Path) -> tuple[str, str]:
    """Commit what the run made, without a name yet; return what changed in one line, and the commit."""
    subject, text = commit.describe(git, base, tree)
    message = f"retrain: {subject}\n\nFrom {base.name} ({base.commit[:10]}).\n\n{text}\n"
    return subject, commit.write(tree, base.commit, message)


def _base(git: Git, revision: str) -> Revision:
    """Find the revision to start from, and say what of the checkout is not in it."""
    base = registry.resolve(git, revision)
    if revision == "HEAD":
        base = replace(base, name=git.ask("symbolic-ref", "--short", "--quiet", "HEAD") or revision)
    logs.logger().info("%s is %s%s", base.name, base.commit[:10], f" ({base.note})" if base.note else "")
    changed = (
        git.ask("--no-optional-locks", "status", "--porcelain", "--untracked-files=no") or ""
    ).splitlines()
    if changed:
        names = few([line[3:] for line in changed])
        logs.logger().warning("uncommitted changes in the checkout are no part of this: %s", names)
    return base


def _run(git: Git, base: Revision, tree: Path, refresh_data: bool, how: How) -> list[Outcome]:
    """Put in place what is recorded of the revision, then run what is not up to date."""
    plan = graph.plan(tree)
    text = git.blob(base.commit, LOCK)
    if text is not None:
        record = read_record(text, base.name)
        known = [name for name in plan if name in record.stages or name.endswith(".dvc")]
        Rebuild(git, base, record, tree).bring(known, all_of_them=False)
    forced = [name for name, needed in plan.items() if not needed and not name.endswith(".dvc")]
    return run_stages(plan, tree, replace(how, forced=forced if refresh_data else ()))


def _say_if_moved(git: Git, base: Revision, revision: str) -> None:
    """Say where the branch has got new commits meanwhile: they are no part of this."""
    now = registry.resolve(git, revision).commit
    if now != base.commit:
        count = git.ask("rev-list", "--count", f"{base.commit}..{now}")
        logs.logger().warning(
            "%s has moved since, by %s commits; this is of %s", base.name, count, base.commit[:10]
        )


def _push(folder: Path, branch: str, git_remote: str | None, delays: Sequence[float]) -> None:
    commands = Commands(folder, environment(folder))
    again = f"`python -m flows.push {branch}`"
    try:
        if graph.has_remote(folder):
            push(commands, [sys.executable, "-m", "flows.push", branch], "data", again, delays)
        if git_remote is not None:
            argv = ["git", "push", "--quiet", "--end-of-options", git_remote, f"refs/heads/{branch}"]
            push(commands, argv, "branch", f"`git push {git_remote} {branch}`", delays)
    finally:
        commands.stop()
        commands.wait()


@task(name="push", task_run_name="push {what}", cache_policy=NO_CACHE)
def push(commands: Commands, argv: Sequence[str], what: str, again: str, delays: Sequence[float]) -> None:
    """Run a command that moves something to a remote, again after each of ``delays``. Raises UserError."""
    said = ""
    for delay in (*delays, None):
        lines: list[str] = []
        if commands.run(argv, lines.append) == 0:
            logs.logger().info("pushed the %s%s", what, f": {lines[-1]}" if lines else "")
            return
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        said = said.removeprefix("error: ")
        if delay is not None:
            logs.logger().warning("%s; tried again in %g s", said, delay)
            commands.rest(delay)
    raise UserError(
        f"{said}; nothing is lost: branch and cache have all of it; when the remote is back, {again}"
    )


def main() -> None:
    """Retrain from the command line."""
    arguments = _arguments()
    with ending():
        params = overrides.parse_all(arguments.set_param)
        git = Git(places.project("."))
        registry.resolve(git, arguments.revision)  # a typo is said before a server is started
        try:
            with server():
                found = retrain(
                    arguments.revision,
                    ".",
                    params,
                    arguments.refresh_data,
                    not arguments.no_gate,
                    arguments.git_remote,
                    arguments.hours,
                    arguments.delays,
                )
        except PipelineFailed as error:
            print(summary(error.outcomes, Path()), flush=True)
            raise
    print(summary(found.outcomes, shelf.place(Path(), found.branch or "")))
    print(found.headline(), flush=True)
    if found.decision is not None:
        print(gate_summary(found.decision), flush=True)
        sys.exit(0 if found.decision.version else REFUSED)


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m flows.retrain", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("revision", nargs="?", default="HEAD", help="what to start from; HEAD")
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="NAME=VALUE", help="a param of this run"
    )
    parser.add_argument("--refresh-data", action="store_true", help="download anew")
    parser.add_argument("--no-gate", action="store_true", help="do not ask whether it becomes the champion")
    parser.add_argument("--git-remote", metavar="NAME", help="push branch and version there")
    parser.add_argument("--hours", type=float, default=HOURS, help=f"that the stages get, at most; {HOURS:g}")
    parser.add_argument(
        "--delays",
        type=_delays,
        default=DELAYS,
        metavar="S,S,…",
        help=f"seconds before a download or push is tried again; {','.join(f'{x:g}' for x in DELAYS)}",
    )
    arguments = parser.parse_args()
    if not 0 < arguments.hours < float("inf"):
        parser.error(f"--hours: {arguments.hours}: a number above 0")
    return arguments


def _delays(text: str) -> list[float]:
    return [float(part) for part in text.split(",") if part]


if __name__ == "__main__":
    main()
