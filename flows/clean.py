"""What nothing needs any more, shown and removed: `python -m flows.clean`.

Worktrees of killed runs, states that nobody goes on with, environments of old pins, old reports, and
branches of retrainings that no tag, other branch or remote has; then DVC's objects of what is gone.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from flows.front_door import command_table
from flows.repo import checkout, dvc_graph
from flows.repo.git import Git
from flows.repo.leftovers import Leftover, leftovers, total
from flows.system.exit_status import ending
from flows.system.machine_lock import machine_slot
from flows.system.processes import Commands, last_line
from flows.system.variables import environment
from gan.errors import UserError

# Everything that a commit on any branch, tag or experiment recorded stays.
COLLECT = ("gc", "--workspace", "--all-commits", "--all-experiments", "--force")


def main(arguments: Namespace | None = None) -> None:
    """Show what can go, and remove it."""
    asked = arguments or command_table.arguments("clean")
    with ending():
        folder = checkout.project(".")
        git = Git(folder)
        # Nothing is trained, rebuilt or promoted meanwhile: a run's objects belong to no commit yet.
        with machine_slot(folder), machine_slot(folder, what="gate"):
            rows = leftovers(git, asked.keep, asked.days)
            print(describe(rows, asked.dry_run), flush=True)
            if not asked.dry_run:
                for row in rows:
                    row.remove()
            print(objects(folder, asked.dry_run), flush=True)


def describe(rows: Sequence[Leftover], dry_run: bool) -> str:
    """Return what goes, for a terminal."""
    wide = max((len(row.name) for row in rows), default=0)
    lines = [f"  {row.kind:<11}  {row.name:<{wide}}  {row.size / 1e6:8.1f} MB  {row.why}" for row in rows]
    action = "would be removed" if dry_run else "removed"
    return "\n".join([*lines, f"{len(rows)} things, {total(rows) / 1e6:.1f} MB {action}"])


def objects(folder: Path, dry_run: bool) -> str:
    """Remove the objects that no commit refers to from DVC's cache; return what DVC says of it.

    A cache outside of the checkout may be that of others too, and is left alone. Raises UserError.
    """
    cache = dvc_graph.cache_folder(folder)
    if not cache.is_relative_to(folder):
        return f"the cache {cache} is not this checkout's alone: docs/storage.md says how it is cleaned up"
    lines: list[str] = []
    argv = [sys.executable, "-m", "dvc", *COLLECT, *(["--dry"] if dry_run else [])]
    if Commands(folder, environment(folder)).run(argv, lines.append):
        raise UserError(f"dvc gc: {last_line(lines, 'it failed')}")
    return next((line for line in reversed(lines) if "object" in line), "no object of the cache is unused")


if __name__ == "__main__":
    main()
