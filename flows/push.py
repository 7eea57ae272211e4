"""A revision's data, checked out or not, from cache to remote: `python -m flows.push REVISION`."""

import sys

from flows import graph, places, registry
from flows.command_line import Parser, ending
from flows.git import Git
from flows.rebuild import recorded
from flows.record import kept
from gan.errors import UserError


def main() -> None:
    """Push a revision's outs from the command line."""
    parser = Parser(prog="python -m flows.push", description=(__doc__ or "").split(":")[0])
    parser.add_argument("revision", nargs="?", default="HEAD")
    parser.add_argument("--remote", metavar="NAME", help="another DVC remote than the default one")
    arguments = parser.parse_args()
    with ending():
        git = Git(places.project("."))
        found = registry.resolve(git, arguments.revision)
        stages = [name for name, outs in kept(git, found.commit, recorded(git, found)).items() if outs]
        count, said = graph.push(git.root, found.commit, stages, arguments.remote)
        if said:
            raise UserError(f"{arguments.revision}: its data could not be pushed: {said}")
        print(f"{count} objects pushed" if count else "the remote has all of it", file=sys.stdout)


if __name__ == "__main__":
    main()
