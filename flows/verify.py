"""Whether what DVC keeps of a revision is whole: `python -m flows.verify [REVISION] [--remote]`.

DVC trusts its cache, and a remote that is not set to `verify`. This reads every object that the
revision needs and holds it to its name.
"""

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from flows import graph, objects, places
from flows.command_line import Parser, ending
from flows.git import Git
from flows.rebuild import recorded
from flows.record import kept
from gan.errors import UserError
from gan.files import RUNS, run_lock


def verify(folder: Path, name: str, remote: str | None, from_remote: bool) -> tuple[int, list[objects.Fault]]:
    """Check what a revision keeps in the cache, or in a remote; return how many outs, and the faults.

    A remote's objects are fetched to a folder that goes with the call. Raises UserError where the
    remote cannot be read.
    """
    git = Git(folder)
    revision = git.resolve(name)
    by_stage = kept(git, revision.commit, recorded(git, revision))
    wanted = {path: md5 for outs in by_stage.values() for path, md5 in outs.items()}
    if not from_remote:
        return len(wanted), objects.check(graph.cache_folder(folder), wanted)
    place = folder / RUNS / "verify"
    with run_lock(places.lock_name(folder, "verify")):
        shutil.rmtree(place, ignore_errors=True)  # what a killed call left
        try:
            stages = [stage for stage, outs in by_stage.items() if outs]
            said = graph.fetch(folder, revision.commit, stages, cache=place, remote=remote)
            faults = objects.check(place, wanted)
            if said and len(faults) == len(wanted):
                raise UserError(f"nothing could be read from the remote: {said}")
            return len(wanted), [replace(fault, place=fault.place.relative_to(place)) for fault in faults]
        finally:
            shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    """Check a revision's objects from the command line."""
    arguments = _arguments()
    with ending():
        folder = places.project(".")
        from_remote = arguments.remote is not None
        count, faults = verify(folder, arguments.revision, arguments.remote or None, from_remote)
        where = f"the remote {arguments.remote}".strip() if from_remote else "the cache"
        for fault in faults:
            print(f"  {fault.what:<8} {fault.output}  {fault.place}")
        if faults:
            advice = "`dvc push` from where they are whole" if from_remote else "`dvc fetch`"
            sys.exit(
                f"error: {where} lacks or spoils {len(faults)} of what {arguments.revision} keeps there; "
                f"delete what is corrupt, then {advice}, or make it again: `dvc repro`"
            )
        print(f"{count} outputs of {arguments.revision} are whole in {where}")


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m flows.verify", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("revision", nargs="?", default="HEAD")
    parser.add_argument(
        "--remote", nargs="?", const="", metavar="NAME", help="check a remote, not the cache; the default one"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
