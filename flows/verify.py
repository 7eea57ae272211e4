"""Whether what DVC keeps of a revision is whole: `python -m flows.verify [REVISION] [--remote]`.

DVC trusts its cache, and a remote that is not set to `verify`. This reads every object that the
revision needs and holds it to its name.
"""

import shutil
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from flows.front_door import command_table
from flows.repo import cache_objects, checkout, dvc_graph
from flows.repo.git import Git
from flows.repo.lock_file import dvc_outputs
from flows.system.exit_status import ending
from flows.tasks.rebuild import recorded
from gan.errors import UserError
from gan.files import RUNS, run_lock


def verify(
    folder: Path, name: str, remote: str | None, from_remote: bool
) -> tuple[int, list[cache_objects.Fault]]:
    """Check what a revision keeps in the cache, or in a remote; return how many outs, and the faults.

    A remote's objects are fetched to a folder that goes with the call. Raises UserError where the
    remote cannot be read.
    """
    git = Git(folder)
    revision = git.resolve(name)
    by_stage = dvc_outputs(git, revision.commit, recorded(git, revision))
    wanted = {path: md5 for outs in by_stage.values() for path, md5 in outs.items()}
    if not from_remote:
        return len(wanted), cache_objects.check(dvc_graph.cache_folder(folder), wanted)
    target = folder / RUNS / "verify"
    with run_lock(checkout.lock_name(folder, "verify")):
        shutil.rmtree(target, ignore_errors=True)  # what a killed call left
        try:
            stages = [stage for stage, outs in by_stage.items() if outs]
            message = dvc_graph.fetch(folder, revision.commit, stages, cache=target, remote=remote)
            faults = cache_objects.check(target, wanted)
            if message and len(faults) == len(wanted):
                raise UserError(f"nothing could be read from the remote: {message}")
            return len(wanted), [replace(fault, path=fault.path.relative_to(target)) for fault in faults]
        finally:
            shutil.rmtree(target, ignore_errors=True)


def main(arguments: Namespace | None = None) -> None:
    """Check a revision's objects from the command line."""
    asked = arguments or command_table.arguments("verify")
    with ending():
        folder = checkout.project(".")
        from_remote = asked.remote is not None
        count, faults = verify(folder, asked.revision, asked.remote or None, from_remote)
        where = f"the remote {asked.remote}".strip() if from_remote else "the cache"
        for fault in faults:
            print(f"  {fault.what:<8} {fault.output}  {fault.path}")
        if faults:
            advice = f"`python -m flows.reproduce {asked.revision} --restore` makes it anew"
            if from_remote:
                advice = f"`python -m flows.push {asked.revision}` from where it is whole"
            sys.exit(
                f"error: {where} has {len(faults)} missing or corrupt objects of {asked.revision}; "
                f"delete what is corrupt, then {advice}"
            )
        print(f"{count} outputs of {asked.revision} are whole in {where}")


if __name__ == "__main__":
    main()
